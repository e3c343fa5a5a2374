//! Machines from training rows: one problem for numbers, one for each pair of classes, and for each of those five more that tell how its
//! decision values turn into probabilities.

use super::kernel::{Ground, Kernel};
use super::machine::{Machine, Task, pairs};
use super::platt;
use super::smo::{Problem, Rules, Solution, solve};
use crate::points::{LANES, Points};
use cupola_task::Draw;
use rayon::prelude::*;

/// Parts that rows are dealt into for probabilities, as in LIBSVM.
const FOLDS: usize = 5;

/// What all problems of a fit share.
pub(super) struct Fit<'a> {
    pub(super) kernel: Kernel,
    pub(super) points: &'a Points,
    /// How far each row's multiplier may go: C times its weight.
    pub(super) limits: &'a [f64],
    pub(super) weights: &'a [f64],
    pub(super) rules: Rules,
    /// Hears pairs done and the violation, and may end it.
    pub(super) goes_on: &'a (dyn Fn(u64, f64) -> bool + Sync),
}

/// Two classes' rows, the first one's first, and how many those are.
struct Pair {
    rows: Vec<usize>,
    first: usize,
}

/// A problem to solve: a pair, and which of its rows are held out.
struct Unit {
    pair: usize,
    held_out: Vec<usize>,
    rows: Vec<usize>,
}

impl Fit<'_> {
    /// A machine that answers numbers, and whether its tolerance was met.
    pub(super) fn numbers(&self, targets: &[f64], epsilon: f64) -> (Machine, bool) {
        let ground = Ground::new(self.kernel, self.points);
        let rows: Vec<usize> = (0..targets.len()).collect();
        let limits: Vec<[f64; 2]> = self.limits.iter().map(|&limit| [-limit, limit]).collect();
        let problem = Problem { ground: &ground, rows: &rows, targets, limits: &limits, epsilon };
        let solution = solve(&problem, &self.rules, self.goes_on);
        let vectors: Vec<usize> = rows.into_iter().filter(|&row| solution.multipliers[row] != 0.0).collect();
        let machine = Machine {
            kernel: self.kernel,
            task: Task::Number,
            vectors: self.points.take(&vectors),
            ends: vec![vectors.len() as u32],
            multipliers: vectors.iter().map(|&row| solution.multipliers[row]).collect(),
            rho: vec![solution.rho],
            sigmoids: vec![],
        };
        (machine.collapsed(), solution.is_finished)
    }

    /// A machine that answers classes: `codes` are places in `seen`. With a draw, decision values are turned into probabilities by
    /// cross-validation; without one by a sigmoid of slope 1.
    pub(super) fn classes(&self, codes: &[u32], seen: Vec<u32>, deal: Option<Draw>) -> (Machine, bool) {
        let ground = Ground::new(self.kernel, self.points);
        let of_class: Vec<Vec<usize>> =
            (0..seen.len() as u32).map(|class| (0..codes.len()).filter(|&row| codes[row] == class).collect()).collect();
        let pairs: Vec<Pair> = pairs(seen.len())
            .map(|(i, j)| Pair { rows: [&of_class[i][..], &of_class[j][..]].concat(), first: of_class[i].len() })
            .collect();
        let units: Vec<Unit> = pairs.iter().enumerate().flat_map(|(number, pair)| units(number, pair, deal)).collect();
        // Every unit's work is its own, so the result does not depend on who does it.
        let solved: Vec<(Solution, Vec<f64>)> =
            units.par_iter().with_max_len(1).map(|unit| self.solve(&ground, &pairs[unit.pair], unit)).collect();
        let is_finished = solved.iter().all(|(solution, _)| solution.is_finished);
        let per_pair = units.len() / pairs.len().max(1);
        let mut sigmoids = Vec::new();
        for (number, pair) in pairs.iter().enumerate() {
            let range = number * per_pair..(number + 1) * per_pair;
            sigmoids.push(self.sigmoid(pair, &units[range.clone()], &solved[range]));
        }
        let solutions: Vec<&Solution> = (0..pairs.len()).map(|number| &solved[number * per_pair].0).collect();
        (self.machine(seen, &of_class, &solutions, sigmoids).collapsed(), is_finished)
    }

    fn solve(&self, ground: &Ground<'_>, pair: &Pair, unit: &Unit) -> (Solution, Vec<f64>) {
        let targets: Vec<f64> = unit.rows.iter().map(|&place| if place < pair.first { 1.0 } else { -1.0 }).collect();
        let rows: Vec<usize> = unit.rows.iter().map(|&place| pair.rows[place]).collect();
        let limit = |(&row, &target): (&usize, &f64)| {
            let most = self.limits[row];
            if target > 0.0 { [0.0, most] } else { [-most, 0.0] }
        };
        let limits: Vec<[f64; 2]> = rows.iter().zip(&targets).map(limit).collect();
        let is_one_sided = targets.iter().all(|target| *target == targets[0]);
        let solution = if is_one_sided {
            // As in LIBSVM, what only one class is known of is answered by that class.
            Solution { multipliers: vec![0.0; rows.len()], rho: -targets.first().copied().unwrap_or(0.0), is_finished: true }
        } else {
            solve(&Problem { ground, rows: &rows, targets: &targets, limits: &limits, epsilon: 0.0 }, &self.rules, self.goes_on)
        };
        let held_out: Vec<usize> = unit.held_out.iter().map(|&place| pair.rows[place]).collect();
        let decisions = if held_out.is_empty() { vec![] } else { self.decisions(&rows, &solution, &held_out) };
        (solution, decisions)
    }

    /// What a solution decides about other training rows.
    fn decisions(&self, rows: &[usize], solution: &Solution, wanted: &[usize]) -> Vec<f64> {
        let places: Vec<usize> = (0..rows.len()).filter(|&place| solution.multipliers[place] != 0.0).collect();
        let vectors = self.points.take(&places.iter().map(|&place| rows[place]).collect::<Vec<_>>());
        let machine = Machine {
            kernel: self.kernel,
            task: Task::Number,
            ends: vec![vectors.rows() as u32],
            vectors,
            multipliers: places.iter().map(|&place| solution.multipliers[place]).collect(),
            rho: vec![solution.rho],
            sigmoids: vec![],
        };
        if machine.multipliers.is_empty() {
            return vec![-solution.rho; wanted.len()];
        }
        let machine = machine.collapsed();
        let squares = machine.vectors.squares();
        let decided: Vec<Vec<f64>> = wanted
            .par_chunks(LANES)
            .with_min_len(16)
            .map(|wanted| {
                // Packed as the vectors lie: weights lie densely.
                let mut packed = machine.vectors.packed();
                machine.vectors.pack_other(self.points, wanted, &mut packed);
                machine.decide(&squares, std::slice::from_ref(&packed))[0][..wanted.len()].to_vec()
            })
            .collect();
        decided.concat()
    }

    fn sigmoid(&self, pair: &Pair, units: &[Unit], solved: &[(Solution, Vec<f64>)]) -> [f64; 2] {
        if units.len() == 1 {
            return [-1.0, 0.0];
        }
        let (mut decisions, mut is_first, mut weights) = (vec![], vec![], vec![]);
        for (unit, (_, decided)) in units.iter().zip(solved) {
            for (&place, &decision) in unit.held_out.iter().zip(decided) {
                decisions.push(decision);
                is_first.push(place < pair.first);
                weights.push(self.weights[pair.rows[place]]);
            }
        }
        platt::sigmoid(&decisions, &is_first, &weights)
    }

    /// One machine of all pairs' solutions.
    fn machine(&self, seen: Vec<u32>, of_class: &[Vec<usize>], solutions: &[&Solution], sigmoids: Vec<[f64; 2]>) -> Machine {
        let others = seen.len().saturating_sub(1);
        let mut multipliers = vec![0.0; self.points.rows() * others];
        for ((i, j), solution) in pairs(seen.len()).zip(solutions) {
            let rows = of_class[i].iter().map(|&row| row * others + j - 1).chain(of_class[j].iter().map(|&row| row * others + i));
            rows.zip(&solution.multipliers).for_each(|(place, value)| multipliers[place] = *value);
        }
        let is_vector = |row: &usize| multipliers[row * others..(row + 1) * others].iter().any(|value| *value != 0.0);
        let vectors: Vec<Vec<usize>> = of_class.iter().map(|rows| rows.iter().copied().filter(is_vector).collect()).collect();
        let ends = vectors.iter().scan(0u32, |end, rows| {
            *end += rows.len() as u32;
            Some(*end)
        });
        let ends = ends.collect();
        let vectors = vectors.concat();
        Machine {
            kernel: self.kernel,
            task: Task::Classes(seen),
            ends,
            multipliers: vectors.iter().flat_map(|&row| multipliers[row * others..(row + 1) * others].iter().copied()).collect(),
            vectors: self.points.take(&vectors),
            rho: solutions.iter().map(|solution| solution.rho).collect(),
            sigmoids,
        }
    }
}

/// A pair's problems: that of all its rows, and with a draw those of all but a fifth.
///
/// Differs: LIBSVM deals rows at random, here each class is dealt for itself, so that every part knows both.
fn units(number: usize, pair: &Pair, deal: Option<Draw>) -> Vec<Unit> {
    let all: Vec<usize> = (0..pair.rows.len()).collect();
    let mut units = vec![Unit { pair: number, held_out: vec![], rows: all.clone() }];
    if let Some(draw) = deal {
        let mut fold_of = vec![0; all.len()];
        let order = draw.at(number as u64).permutation(all.len() as u64);
        let mut dealt = [0, 0];
        for place in order {
            let class = usize::from(place as usize >= pair.first);
            fold_of[place as usize] = dealt[class] % FOLDS;
            dealt[class] += 1;
        }
        units.extend((0..FOLDS).map(|fold| {
            let (held_out, rows) = all.iter().partition(|&&place| fold_of[place] == fold);
            Unit { pair: number, held_out, rows }
        }));
    }
    units
}
