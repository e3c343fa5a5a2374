//! Support vectors and what they answer.

use super::kernel::Kernel;
use super::platt;
use crate::bytes::{Reader, Writer};
use crate::points::{LANES, Packed, Points};
use crate::rows::are_seen;
use cupola_task::Result;

/// Vectors that are compared at once, and their numbers: those stay in the second-level cache while groups of packed rows go by.
const TILE: usize = 64;
const TILE_NUMBERS: usize = 16_384;
const MARK: [u8; 4] = *b"CUSV";
const VERSION: u16 = 1;
/// The part it saves itself into.
pub(super) const PART: &str = "model/svm";

/// What the decision values mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    /// The one value is the answer.
    Number,
    /// Values of pairs of classes, of which these had training rows, ascending.
    Classes(Vec<u32>),
}

/// A fitted machine.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Machine {
    pub(super) kernel: Kernel,
    pub(super) task: Task,
    /// Support vectors, class after class; for the linear kernel one vector of weights for each pair.
    pub(super) vectors: Points,
    /// Where each class's vectors end.
    pub(super) ends: Vec<u32>,
    /// `[vectors, classes - 1]`: the vector's multiplier against each other class; one for numbers. Empty for the linear kernel.
    pub(super) multipliers: Vec<f64>,
    /// What is subtracted, for each pair (i, j), i < j.
    pub(super) rho: Vec<f64>,
    /// The sigmoid of each pair.
    pub(super) sigmoids: Vec<[f64; 2]>,
}

/// How many pairs so many classes have.
pub(super) fn pairs_of(classes: usize) -> usize {
    classes * classes.saturating_sub(1) / 2
}

/// Where the pair (i, j), i < j, stands among those of so many classes: row after row of a triangle.
pub(super) fn pair_at(classes: usize, i: usize, j: usize) -> usize {
    i * (2 * classes - i - 1) / 2 + j - i - 1
}

/// All pairs, in order.
pub(super) fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
}

impl Machine {
    /// Multipliers that a vector has.
    fn others(&self) -> usize {
        match &self.task {
            Task::Number => 1,
            Task::Classes(seen) => seen.len().saturating_sub(1),
        }
    }

    /// Decision values of groups of packed rows, group by group for each pair: a positive one is for the pair's first class.
    pub(super) fn decide(&self, squares: &[f64], groups: &[Packed]) -> Vec<[f64; LANES]> {
        if self.ends.is_empty() {
            return self.weigh(groups);
        }
        let others = self.others();
        let own: Vec<[f64; LANES]> = groups.iter().map(Packed::squares).collect();
        let mut sums = vec![[0.0; LANES]; groups.len() * self.ends.len() * others];
        let mut values = [[0.0; LANES]; TILE];
        let tile = (TILE_NUMBERS / self.vectors.width().max(1)).clamp(8, TILE) / LANES * LANES;
        let mut start = 0;
        for (class, &end) in self.ends.iter().enumerate() {
            for first in (start..end as usize).step_by(tile) {
                let rows = first..(first + tile).min(end as usize);
                for ((group, own), sums) in groups.iter().zip(&own).zip(sums.chunks_exact_mut(self.ends.len() * others)) {
                    let values = &mut values[..rows.len()];
                    self.vectors.products(rows.clone(), group, values);
                    self.kernel.values(values, &squares[rows.clone()], own);
                    self.add(values, rows.start, &mut sums[class * others..(class + 1) * others]);
                }
            }
            start = end as usize;
        }
        match &self.task {
            Task::Number => sums.iter().map(|sums| sums.map(|sum| sum - self.rho[0])).collect(),
            Task::Classes(seen) => {
                let mut decisions = Vec::with_capacity(groups.len() * self.rho.len());
                for sums in sums.chunks_exact((self.ends.len() * others).max(1)) {
                    decisions.extend(pairs(seen.len()).zip(&self.rho).map(|((i, j), rho)| {
                        let (a, b) = (sums[i * others + j - 1], sums[j * others + i]);
                        std::array::from_fn::<f64, LANES, _>(|lane| a[lane] + b[lane] - rho)
                    }));
                }
                decisions
            }
        }
    }

    /// The same by weights.
    fn weigh(&self, groups: &[Packed]) -> Vec<[f64; LANES]> {
        let mut decisions = vec![[0.0; LANES]; groups.len() * self.rho.len()];
        for (group, values) in groups.iter().zip(decisions.chunks_mut(self.rho.len().max(1))) {
            self.vectors.products(0..self.vectors.rows(), group, values);
            values.iter_mut().zip(&self.rho).for_each(|(values, rho)| values.iter_mut().for_each(|value| *value -= rho));
        }
        decisions
    }

    /// `sums += multipliers * values` for vectors from `first` on.
    fn add(&self, values: &[[f64; LANES]], first: usize, sums: &mut [[f64; LANES]]) {
        let others = sums.len();
        for (values, multipliers) in values.iter().zip(self.multipliers[first * others..].chunks_exact(others.max(1))) {
            for (sum, multiplier) in sums.iter_mut().zip(multipliers) {
                for lane in 0..LANES {
                    sum[lane] += multiplier * values[lane];
                }
            }
        }
    }

    /// Probabilities of the classes seen from a lane's decision values.
    pub(super) fn chances(&self, decisions: &[[f64; LANES]], lane: usize) -> Vec<f64> {
        let Task::Classes(seen) = &self.task else { return vec![] };
        let pair = |number: usize| platt::chance(decisions[number][lane], self.sigmoids[number]);
        match seen.len() {
            0 => vec![],
            1 => vec![1.0],
            2 => {
                let first = pair(0);
                vec![first, 1.0 - first]
            }
            classes => platt::coupled(classes, |i, j| pair(pair_at(classes, i, j))),
        }
    }

    /// Turns the vectors of a linear kernel into weights of pairs.
    pub(super) fn collapsed(self) -> Machine {
        if self.kernel != Kernel::Linear {
            return self;
        }
        let (others, width) = (self.others(), self.vectors.width());
        let mut weights = vec![vec![0.0; width]; self.rho.len()];
        let mut start = 0;
        for (class, &end) in self.ends.iter().enumerate() {
            for row in start..end as usize {
                for other in 0..others {
                    let pair = match &self.task {
                        Task::Number => 0,
                        Task::Classes(seen) => {
                            let other = other + usize::from(other >= class);
                            pair_at(seen.len(), class.min(other), class.max(other))
                        }
                    };
                    self.vectors.add_row(row, self.multipliers[row * others + other], &mut weights[pair]);
                }
            }
            start = end as usize;
        }
        Machine { vectors: self.vectors.of_places(&weights), ends: vec![], multipliers: vec![], ..self }
    }

    /// The bytes that [`Machine::from_bytes`] reads.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(MARK, VERSION);
        let (tag, gamma, coef0, degree) = match self.kernel {
            Kernel::Linear => (0, 0.0, 0.0, 0),
            Kernel::Rbf { gamma } => (1, gamma, 0.0, 0),
            Kernel::Poly { gamma, coef0, degree } => (2, gamma, coef0, degree),
            Kernel::Sigmoid { gamma, coef0 } => (3, gamma, coef0, 0),
        };
        writer.byte(tag);
        writer.real(gamma);
        writer.real(coef0);
        writer.whole(degree);
        match &self.task {
            Task::Number => writer.byte(0),
            Task::Classes(seen) => {
                writer.byte(1);
                writer.wholes(seen);
            }
        }
        self.vectors.write(&mut writer);
        writer.wholes(&self.ends);
        writer.reals(&self.multipliers);
        writer.reals(&self.rho);
        writer.reals(&self.sigmoids.concat());
        writer.0
    }

    /// Reads and checks a machine for rows of that width and a target of so many classes (none for a number).
    ///
    /// # Errors
    /// When the bytes are not such a machine.
    pub(super) fn from_bytes(bytes: &[u8], width: usize, classes: Option<usize>) -> Result<Machine> {
        let (mut reader, _) = Reader::open(PART, bytes, MARK, VERSION)?;
        let (tag, gamma, coef0, degree) =
            (reader.byte("the kernel")?, reader.real("gamma")?, reader.real("coef0")?, reader.whole("degree")?);
        let kernel = match tag {
            0 => Kernel::Linear,
            1 => Kernel::Rbf { gamma },
            2 => Kernel::Poly { gamma, coef0, degree },
            3 => Kernel::Sigmoid { gamma, coef0 },
            other => return Err(reader.wrong(format!("kernel {other}"), "one below 4")),
        };
        let task = match reader.byte("the task")? {
            0 => Task::Number,
            1 => Task::Classes(reader.wholes("classes")?),
            other => return Err(reader.wrong(format!("task {other}"), "0 or 1")),
        };
        let vectors = Points::read(&mut reader, width)?;
        let (ends, multipliers, rho) = (reader.wholes("ends")?, reader.reals("multipliers")?, reader.reals("offsets")?);
        let sigmoids = reader.reals("sigmoids")?;
        reader.end()?;
        let machine = Machine { kernel, task, vectors, ends, multipliers, rho, sigmoids: sigmoids.as_chunks::<2>().0.to_vec() };
        match machine.is_sound(classes) && sigmoids.len() == 2 * machine.sigmoids.len() && gamma >= 0.0 {
            true => Ok(machine),
            false => Err(reader.wrong("numbers that contradict each other", "a support vector machine for this target")),
        }
    }

    fn is_sound(&self, classes: Option<usize>) -> bool {
        let (groups, pairs) = match (&self.task, classes) {
            (Task::Number, None) => (1, 1),
            (Task::Classes(seen), Some(classes)) => {
                if !are_seen(seen, classes) {
                    return false;
                }
                (seen.len(), pairs_of(seen.len()))
            }
            _ => return false,
        };
        let sigmoids = if self.task == Task::Number { 0 } else { pairs };
        let are_vectors = match self.kernel == Kernel::Linear && self.ends.is_empty() {
            true => self.vectors.rows() == pairs && self.multipliers.is_empty(),
            false => {
                // A vector speaks for a class against another: of one class alone there is none.
                (pairs > 0 || self.vectors.rows() == 0)
                    && self.ends.len() == groups
                    && self.ends.windows(2).all(|pair| pair[0] <= pair[1])
                    && self.ends.last().is_some_and(|&last| last as usize == self.vectors.rows())
                    && self.vectors.rows().checked_mul(self.others()) == Some(self.multipliers.len())
            }
        };
        are_vectors && self.rho.len() == pairs && self.sigmoids.len() == sigmoids
    }
}
