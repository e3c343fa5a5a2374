//! Numbers for one row and one operation, drawn one after another. They depend on the run's seed, the epoch, the operation and the row.

use cupola_task::Draw;

/// Draws for one row.
#[derive(Clone)]
pub(crate) struct Dice {
    key: u64,
    drawn: u64,
}

impl Dice {
    /// The dice of a row under an operation's key from [`Draw::key`].
    pub fn new(key: u64, row: u64) -> Dice {
        Dice { key: Draw::value(key, row), drawn: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.drawn += 1;
        Draw::value(self.key, self.drawn)
    }

    /// In [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In [low, high).
    pub fn uniform(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.share()
    }

    /// In [-most, most).
    pub fn within(&mut self, most: f64) -> f64 {
        self.uniform([-most, most])
    }

    /// A whole number in 0..n.
    pub fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u32
    }

    /// Whether something of that probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// A standard normal number (Box-Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// A Gamma(alpha, 1) number (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000).
    fn gamma(&mut self, alpha: f64) -> f64 {
        if alpha < 1.0 {
            return self.gamma(alpha + 1.0) * (1.0 - self.share()).powf(1.0 / alpha);
        }
        let d = alpha - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.share()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A Beta(alpha, alpha) number.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        let (one, other) = (self.gamma(alpha), self.gamma(alpha));
        if one + other > 0.0 { one / (one + other) } else { 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_has_its_moments() {
        for alpha in [0.2, 1.0, 4.0] {
            let shares: Vec<f64> = (0..20_000).map(|row| Dice::new(3, row).beta(alpha)).collect();
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / shares.len() as f64;
            let wanted = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01 && (variance - wanted).abs() < 0.05 * wanted, "{alpha}: {mean} {variance} {wanted}");
        }
    }
}
