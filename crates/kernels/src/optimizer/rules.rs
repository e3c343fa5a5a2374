//! The rules by which a gradient changes weights, each one pass over memory.
//!
//! SGD, Adam, AdamW and RMSprop as PyTorch has them; Lion: Chen et al., "Symbolic discovery of optimization algorithms", 2023, program 1.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::PIECE;
use crate::shared::Shared;
use crate::team::each;

/// What is done to each weight alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Rule {
    /// Momentum without dampening, L2 penalty.
    Sgd {
        /// The share of the velocity that is kept; 0 for no velocity.
        momentum: f64,
        /// Whether a step looks ahead along the velocity (Nesterov).
        nesterov: bool,
    },
    /// Adam.
    Adam {
        /// The shares of the means of gradients and of their squares that are kept.
        betas: [f64; 2],
        /// Added to the root of the mean of squares.
        eps: f64,
        /// Whether weights decay by themselves (AdamW), not by an L2 penalty.
        is_decoupled: bool,
    },
    /// RMSprop, not centred, L2 penalty.
    RmsProp {
        /// The share of the mean of squares that is kept.
        alpha: f64,
        /// Added to the root of the mean of squares.
        eps: f64,
        /// The share of the velocity that is kept; 0 for no velocity.
        momentum: f64,
    },
    /// Lion, decoupled decay.
    Lion {
        /// The share of the mean in this step, and the share of it that is kept for the next.
        betas: [f64; 2],
    },
}

/// How far a step goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Move {
    /// The learning rate.
    pub rate: f64,
    /// Weight decay, or the factor of the L2 penalty.
    pub decay: f64,
    /// Which step of these weights it is, from 1.
    pub count: f64,
}

/// Weights with what belongs to them. States that a rule does not have are empty.
#[derive(Debug)]
pub struct Slices<'a> {
    /// What is moved.
    pub weights: &'a mut [f32],
    /// What it is moved against.
    pub gradients: &'a [f32],
    /// The velocity of [`Rule::Sgd`], the mean of squares of [`Rule::RmsProp`], the mean of gradients elsewhere.
    pub first: &'a mut [f32],
    /// The mean of squares of [`Rule::Adam`], the velocity of [`Rule::RmsProp`].
    pub second: &'a mut [f32],
}

impl Rule {
    /// Whether it has a first and a second state.
    pub fn states(&self) -> [bool; 2] {
        match *self {
            Rule::Sgd { momentum, .. } => [momentum != 0.0, false],
            Rule::Adam { .. } => [true, true],
            Rule::RmsProp { momentum, .. } => [true, momentum != 0.0],
            Rule::Lion { .. } => [true, false],
        }
    }

    /// Moves weights.
    ///
    /// # Panics
    /// When gradients or states are not as long as weights.
    pub fn step(&self, by: Move, slices: Slices<'_>) {
        let level = Level::current();
        match *self {
            Rule::Sgd { momentum: 0.0, .. } => update(level, slices, PlainSgd::new(by)),
            Rule::Sgd { momentum, nesterov } => update(level, slices, Sgd::new(by, momentum, nesterov)),
            Rule::Adam { betas, eps, is_decoupled: false } => update(level, slices, Adam::<false>::new(by, betas, eps)),
            Rule::Adam { betas, eps, is_decoupled: true } => update(level, slices, Adam::<true>::new(by, betas, eps)),
            Rule::RmsProp { alpha, eps, momentum: 0.0 } => update(level, slices, PlainRmsProp::new(by, alpha, eps)),
            Rule::RmsProp { alpha, eps, momentum } => {
                update(level, slices, RmsProp { plain: PlainRmsProp::new(by, alpha, eps), momentum: momentum as f32 })
            }
            Rule::Lion { betas } => update(level, slices, Lion::new(by, betas)),
        }
    }
}

/// A rule with the factors of a step.
trait Update: Copy + Sync {
    /// Whether it has a first and a second state.
    const STATES: [bool; 2];

    /// What becomes of weight, first and second state; states that the rule does not have are anything.
    fn of<V: Lanes>(self, weight: V, gradient: V, first: V, second: V) -> [V; 3];
}

/// Cuts large slices for threads, where registers of 64 bytes end if the slice begins at one.
fn update<U: Update>(level: Level, slices: Slices<'_>, rule: U) {
    let len = slices.weights.len();
    let states = U::STATES.map(|has| if has { len } else { 0 });
    assert_eq!(
        [slices.gradients.len(), slices.first.len(), slices.second.len()],
        [len, states[0], states[1]],
        "one number for each weight"
    );
    let gradients = slices.gradients;
    let [weights, first, second] = [slices.weights, slices.first, slices.second].map(Shared::new);
    each(len.div_ceil(PIECE), true, |piece| {
        let part = piece * PIECE..len.min((piece + 1) * PIECE);
        let of = |state: usize| part.start.min(states[state])..part.end.min(states[state]);
        // SAFETY: pieces do not overlap.
        let [weights, first, second] = unsafe { [weights.part(part.clone()), first.part(of(0)), second.part(of(1))] };
        pass(level, Slices { weights, gradients: &gradients[part.clone()], first, second }, rule);
    });
}

kernel! {
    /// One pass over slices, whose lengths [`update`] has checked.
    fn pass<V, U: Update>(slices: Slices<'_>, rule: U) {
        let Slices { weights, gradients, first, second } = slices;
        let [has_first, has_second] = U::STATES;
        let len = weights.len();
        assert!(gradients.len() == len && (!has_first || first.len() == len) && (!has_second || second.len() == len));
        let whole = len / V::N * V::N;
        let mut at = 0;
        while at < whole {
            // SAFETY: all slices that the rule has are as long as weights, which go on for `V::N` numbers.
            unsafe {
                let before_first = if has_first { V::load_at(first.as_ptr().add(at)) } else { V::splat(0.0) };
                let before_second = if has_second { V::load_at(second.as_ptr().add(at)) } else { V::splat(0.0) };
                let (weight, gradient) = (V::load_at(weights.as_ptr().add(at)), V::load_at(gradients.as_ptr().add(at)));
                let [weight, after_first, after_second] = rule.of(weight, gradient, before_first, before_second);
                weight.store_at(weights.as_mut_ptr().add(at));
                if has_first {
                    after_first.store_at(first.as_mut_ptr().add(at));
                }
                if has_second {
                    after_second.store_at(second.as_mut_ptr().add(at));
                }
            }
            at += V::N;
        }
        if whole < len {
            let before_first = if has_first { V::load_part(&first[whole..], 0.0) } else { V::splat(0.0) };
            let before_second = if has_second { V::load_part(&second[whole..], 0.0) } else { V::splat(0.0) };
            let (weight, gradient) = (V::load_part(&weights[whole..], 0.0), V::load_part(&gradients[whole..], 0.0));
            let [weight, after_first, after_second] = rule.of(weight, gradient, before_first, before_second);
            weight.store_part(&mut weights[whole..]);
            if has_first {
                after_first.store_part(&mut first[whole..]);
            }
            if has_second {
                after_second.store_part(&mut second[whole..]);
            }
        }
    }
}

/// `kept * state + new * value`.
#[inline(always)]
fn mean<V: Lanes>([kept, new]: [f32; 2], state: V, value: V) -> V {
    V::splat(kept).mul(state).add(V::splat(new).mul(value))
}

/// `kept * state + new * value * value`.
#[inline(always)]
fn mean_square<V: Lanes>([kept, new]: [f32; 2], state: V, value: V) -> V {
    V::splat(kept).mul(state).add(V::splat(new).mul(value).mul(value))
}

/// The gradient with that of an L2 penalty.
#[inline(always)]
fn penalised<V: Lanes>(decay: f32, weight: V, gradient: V) -> V {
    gradient.add(V::splat(decay).mul(weight))
}

/// What a state keeps of itself, and takes of what is new.
fn shares(kept: f64) -> [f32; 2] {
    [kept as f32, (1.0 - kept) as f32]
}

#[derive(Clone, Copy)]
struct PlainSgd {
    rate: f32,
    decay: f32,
}

impl PlainSgd {
    fn new(by: Move) -> PlainSgd {
        PlainSgd { rate: by.rate as f32, decay: by.decay as f32 }
    }
}

impl Update for PlainSgd {
    const STATES: [bool; 2] = [false, false];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, first: V, second: V) -> [V; 3] {
        let gradient = penalised(self.decay, weight, gradient);
        [weight.sub(V::splat(self.rate).mul(gradient)), first, second]
    }
}

#[derive(Clone, Copy)]
struct Sgd {
    rate: f32,
    decay: f32,
    momentum: f32,
    /// The direction is `ahead` of the gradient and `along` of the velocity, for both variants one formula.
    ahead: f32,
    along: f32,
}

impl Sgd {
    fn new(by: Move, momentum: f64, nesterov: bool) -> Sgd {
        let momentum = momentum as f32;
        let (ahead, along) = if nesterov { (1.0, momentum) } else { (0.0, 1.0) };
        Sgd { rate: by.rate as f32, decay: by.decay as f32, momentum, ahead, along }
    }
}

impl Update for Sgd {
    const STATES: [bool; 2] = [true, false];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, velocity: V, second: V) -> [V; 3] {
        let gradient = penalised(self.decay, weight, gradient);
        let velocity = V::splat(self.momentum).mul(velocity).add(gradient);
        let direction = V::splat(self.ahead).mul(gradient).add(V::splat(self.along).mul(velocity));
        [weight.sub(V::splat(self.rate).mul(direction)), velocity, second]
    }
}

#[derive(Clone, Copy)]
struct Adam<const DECOUPLED: bool> {
    mean: [f32; 2],
    square: [f32; 2],
    length: f32,
    root: f32,
    eps: f32,
    /// What is left of a weight that decays by itself.
    shrink: f32,
    penalty: f32,
}

impl<const DECOUPLED: bool> Adam<DECOUPLED> {
    fn new(by: Move, betas: [f64; 2], eps: f64) -> Adam<DECOUPLED> {
        let [mean_bias, square_bias] = betas.map(|beta| 1.0 - beta.powf(by.count));
        Adam {
            mean: shares(betas[0]),
            square: shares(betas[1]),
            length: (by.rate / mean_bias) as f32,
            root: square_bias.sqrt() as f32,
            eps: eps as f32,
            shrink: if DECOUPLED { (1.0 - by.rate * by.decay) as f32 } else { 1.0 },
            penalty: by.decay as f32,
        }
    }
}

impl<const DECOUPLED: bool> Update for Adam<DECOUPLED> {
    const STATES: [bool; 2] = [true, true];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, average: V, square: V) -> [V; 3] {
        let gradient = if DECOUPLED { gradient } else { penalised(self.penalty, weight, gradient) };
        let average = mean(self.mean, average, gradient);
        let square = mean_square(self.square, square, gradient);
        let size = square.sqrt().div(V::splat(self.root)).add(V::splat(self.eps));
        let kept = V::splat(self.shrink).mul(weight);
        [kept.sub(V::splat(self.length).mul(average).div(size)), average, square]
    }
}

#[derive(Clone, Copy)]
struct PlainRmsProp {
    rate: f32,
    decay: f32,
    eps: f32,
    square: [f32; 2],
}

impl PlainRmsProp {
    fn new(by: Move, alpha: f64, eps: f64) -> PlainRmsProp {
        PlainRmsProp { rate: by.rate as f32, decay: by.decay as f32, eps: eps as f32, square: shares(alpha) }
    }
}

impl Update for PlainRmsProp {
    const STATES: [bool; 2] = [true, false];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, square: V, second: V) -> [V; 3] {
        let gradient = penalised(self.decay, weight, gradient);
        let square = mean_square(self.square, square, gradient);
        let size = square.sqrt().add(V::splat(self.eps));
        [weight.sub(V::splat(self.rate).mul(gradient).div(size)), square, second]
    }
}

#[derive(Clone, Copy)]
struct RmsProp {
    plain: PlainRmsProp,
    momentum: f32,
}

impl Update for RmsProp {
    const STATES: [bool; 2] = [true, true];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, square: V, velocity: V) -> [V; 3] {
        let PlainRmsProp { rate, decay, eps, square: shares } = self.plain;
        let gradient = penalised(decay, weight, gradient);
        let square = mean_square(shares, square, gradient);
        let velocity = V::splat(self.momentum).mul(velocity).add(gradient.div(square.sqrt().add(V::splat(eps))));
        [weight.sub(V::splat(rate).mul(velocity)), square, velocity]
    }
}

#[derive(Clone, Copy)]
struct Lion {
    now: [f32; 2],
    later: [f32; 2],
    rate: f32,
    shrink: f32,
}

impl Lion {
    fn new(by: Move, betas: [f64; 2]) -> Lion {
        let [now, later] = betas.map(shares);
        Lion { now, later, rate: by.rate as f32, shrink: (1.0 - by.rate * by.decay) as f32 }
    }
}

impl Update for Lion {
    const STATES: [bool; 2] = [true, false];

    #[inline(always)]
    fn of<V: Lanes>(self, weight: V, gradient: V, average: V, second: V) -> [V; 3] {
        let direction = sign(mean(self.now, average, gradient));
        let weight = V::splat(self.shrink).mul(weight).sub(V::splat(self.rate).mul(direction));
        [weight, mean(self.later, average, gradient), second]
    }
}

/// -1, 0 or 1; what is no number stays none, so that a guard can see it.
#[inline(always)]
fn sign<V: Lanes>(value: V) -> V {
    let zero = V::splat(0.0);
    // Of zero and of what is no number, the difference from itself is the same again.
    let rest = zero.select_greater(value, V::splat(-1.0), value.sub(value));
    value.select_greater(zero, V::splat(1.0), rest)
}
