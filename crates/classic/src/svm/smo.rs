//! The dual problem of a support vector machine: sequential minimal optimisation with second-order selection of pairs (Fan, Chen, Lin:
//! "Working set selection using second order information", JMLR 2005, as in LIBSVM), inside of a working set of some hundred rows
//! (Joachims: "Making large-scale SVM learning practical", 1999; Wen et al.: "ThunderSVM", JMLR 2018), so that rows of the kernel matrix
//! are had many at once, by products of matrices, and pairs are sought among few.
//!
//! In signed multipliers b (y a for classes, a - a* for numbers) both tasks are one problem: the least
//! b' K b / 2 - z' b + epsilon |b|_1 with low <= b <= high and a sum of 0. Stops as LIBSVM does: when no pair violates the conditions of the
//! optimum by `tol`.

use super::kernel::{Gram, Ground};
use rayon::prelude::*;

/// Rows of a working set, half of them new each time.
const SET: usize = 512;
/// Rows that sums over the gradient take at once.
const BLOCK: usize = 2048;
/// Instead of a curvature that is not positive.
const TAU: f64 = 1e-12;
/// Pairs after which the working set is chosen anew, for each of its rows.
const PAIRS_A_ROW: u64 = 50;
/// A working set is solved to this share of the violation that it begins with.
const LOCAL_SHARE: f64 = 0.1;
/// Pairs without a lower violation after which the last digits are taken not to settle: kernel values are kept in `f32`, and where their matrix is
/// singular that rounding can keep a violation of about 1e-6 of C times a value going round in circles.
const PAIRS_STALLED: u64 = 1_000_000;
/// Rows are left out once this share of them can be.
const SHRINK_SHARE: f64 = 0.1;
/// Support vectors that the gradient of rows left out is summed over at once.
const CHUNK: usize = 128;

/// Rows of the ground, their targets (1 and -1, or numbers), and how far their multipliers may go.
pub(super) struct Problem<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) rows: &'a [usize],
    pub(super) targets: &'a [f64],
    pub(super) limits: &'a [[f64; 2]],
    /// Half the width of the tube; 0 for classes.
    pub(super) epsilon: f64,
}

/// When to stop, and what may be used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) tol: f64,
    /// Most pairs.
    pub(super) pairs_max: u64,
    pub(super) shrinking: bool,
    /// Most bytes of kernel values that are kept, beyond those of one working set.
    pub(super) cache_bytes: usize,
}

/// Multipliers, one a row, and what is subtracted from their sum of kernels.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub(super) multipliers: Vec<f64>,
    pub(super) rho: f64,
    /// Whether the tolerance was met.
    pub(super) is_finished: bool,
}

/// Solves a problem; `goes_on` hears the pairs done and the violation, and may end it.
pub(super) fn solve(problem: &Problem<'_>, rules: &Rules, goes_on: &(dyn Fn(u64, f64) -> bool + Sync)) -> Solution {
    let mut state = State::new(problem, rules);
    let (mut pairs, mut unshrunk) = (0, 0);
    let (mut lowest, mut lowest_at) = (f64::INFINITY, 0);
    let is_finished = loop {
        let [most, least] = state.extremes();
        let gap = most - least;
        // Written so that a gap that is no number ends it.
        let is_open = gap >= rules.tol;
        if !is_open {
            if !state.is_shrunk() {
                break !gap.is_nan();
            }
            state.unshrink();
            unshrunk += 1;
            continue;
        }
        if gap < 0.99 * lowest {
            (lowest, lowest_at) = (gap, pairs);
        }
        if pairs >= rules.pairs_max || pairs - lowest_at > PAIRS_STALLED || !goes_on(pairs, gap) {
            break false;
        }
        if rules.shrinking && unshrunk < 2 {
            state.shrink(most, least);
        }
        state.choose(most, least);
        state.fetch();
        let (done, changes) = state.improve((LOCAL_SHARE * gap).max(0.5 * rules.tol), rules.pairs_max - pairs);
        if done == 0 {
            break false;
        }
        pairs += done;
        state.advance(&changes);
    };
    state.unshrink();
    let rho = state.rho();
    Solution { multipliers: state.all, rho, is_finished }
}

struct State<'a> {
    problem: &'a Problem<'a>,
    /// Every row's multiplier; those of active rows are as of the last change of what is active.
    all: Vec<f64>,
    /// Rows that are not left out, as places in the problem. What follows has one of each for them.
    active: Vec<usize>,
    gram: Gram,
    targets: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    diagonal: Vec<f64>,
    multipliers: Vec<f64>,
    /// Slope of the smooth part by each multiplier.
    slopes: Vec<f64>,
    /// What is added to the slope when the multiplier grows; infinite where it cannot.
    up: Vec<f64>,
    /// The same for when it falls.
    down: Vec<f64>,
    /// The working set, the newest first.
    set: Vec<usize>,
    cache: Cache,
}

impl<'a> State<'a> {
    fn new(problem: &'a Problem<'a>, rules: &Rules) -> State<'a> {
        let rows = problem.rows.len();
        let kernel = problem.ground.kernel;
        let mut state = State {
            problem,
            all: vec![0.0; rows],
            active: (0..rows).collect(),
            gram: Gram::new(problem.ground, problem.rows),
            targets: problem.targets.to_vec(),
            low: problem.limits.iter().map(|limits| limits[0]).collect(),
            high: problem.limits.iter().map(|limits| limits[1]).collect(),
            diagonal: problem.rows.iter().map(|&row| kernel.diagonal(problem.ground.squares[row])).collect(),
            multipliers: vec![0.0; rows],
            slopes: problem.targets.iter().map(|target| -target).collect(),
            up: vec![0.0; rows],
            down: vec![0.0; rows],
            set: vec![],
            cache: Cache::new(rules.cache_bytes, rows),
        };
        (0..rows).for_each(|row| state.renew(row));
        state
    }

    fn is_shrunk(&self) -> bool {
        self.active.len() < self.problem.rows.len()
    }

    /// Which ways a multiplier can go, and at what price.
    fn renew(&mut self, row: usize) {
        let (value, epsilon) = (self.multipliers[row], self.problem.epsilon);
        [self.up[row], self.down[row]] = prices(value, self.low[row], self.high[row], epsilon);
    }

    /// The most that a growing multiplier gains, and the least that a falling one loses.
    fn extremes(&self) -> [f64; 2] {
        let most = self.slopes.iter().zip(&self.up).fold(f64::NEG_INFINITY, |most, (slope, up)| most.max(-(slope + up)));
        let least = self.slopes.iter().zip(&self.down).fold(f64::INFINITY, |least, (slope, down)| least.min(-(slope + down)));
        [most, least]
    }

    /// Leaves out rows whose multiplier is at a limit and would not leave it.
    fn shrink(&mut self, most: f64, least: f64) {
        let stays = |row: &usize| {
            let (gain, loss) = (-(self.slopes[*row] + self.up[*row]), -(self.slopes[*row] + self.down[*row]));
            gain >= least || loss <= most
        };
        let kept: Vec<usize> = (0..self.active.len()).filter(|row| stays(row)).collect();
        let left_out = self.active.len() - kept.len();
        if (left_out as f64) < SHRINK_SHARE * self.active.len() as f64 || kept.len() < SET {
            return;
        }
        self.store();
        let mut place = vec![usize::MAX; self.active.len()];
        kept.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        self.cache.keep(&kept, &place);
        self.set = self.set.iter().map(|&row| place[row]).filter(|&row| row != usize::MAX).collect();
        for values in [
            &mut self.targets,
            &mut self.low,
            &mut self.high,
            &mut self.diagonal,
            &mut self.multipliers,
            &mut self.slopes,
            &mut self.up,
            &mut self.down,
        ] {
            *values = kept.iter().map(|&row| values[row]).collect();
        }
        self.active = kept.iter().map(|&row| self.active[row]).collect();
        self.gram = Gram::new(self.problem.ground, &self.ground_rows(&self.active));
    }

    fn ground_rows(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.problem.rows[place]).collect()
    }

    fn store(&mut self) {
        self.active.iter().zip(&self.multipliers).for_each(|(&place, value)| self.all[place] = *value);
    }

    /// Takes all rows in again. The slopes of those that were left out are summed anew.
    fn unshrink(&mut self) {
        self.store();
        if !self.is_shrunk() {
            return;
        }
        let problem = self.problem;
        let rows = problem.rows.len();
        let mut slopes = vec![f64::NAN; rows];
        self.active.iter().zip(&self.slopes).for_each(|(&place, slope)| slopes[place] = *slope);
        let missing: Vec<usize> = (0..rows).filter(|&place| slopes[place].is_nan()).collect();
        for (&place, slope) in missing.iter().zip(self.sums(&missing)) {
            slopes[place] = slope - problem.targets[place];
        }
        let rules = Rules { tol: 0.0, pairs_max: 0, shrinking: false, cache_bytes: self.cache.bytes };
        let all = std::mem::take(&mut self.all);
        *self = State { multipliers: all.clone(), all, slopes, ..State::new(problem, &rules) };
        (0..rows).for_each(|row| self.renew(row));
    }

    /// Sums of multipliers times kernels for some rows.
    fn sums(&self, places: &[usize]) -> Vec<f64> {
        let ground = self.problem.ground;
        let gram = Gram::new(ground, &self.ground_rows(places));
        let vectors: Vec<usize> = (0..self.all.len()).filter(|&place| self.all[place] != 0.0).collect();
        let mut sums = vec![0.0; places.len()];
        let mut values = vec![0f32; CHUNK.min(vectors.len()) * places.len()];
        for chunk in vectors.chunks(CHUNK) {
            let values = &mut values[..chunk.len() * places.len()];
            gram.values(ground, &self.ground_rows(chunk), values);
            let changes: Vec<(usize, f64)> = chunk.iter().enumerate().map(|(row, &place)| (row, self.all[place])).collect();
            add(&mut sums, values, places.len(), &changes);
        }
        sums
    }

    /// The next working set: half of the last one, and the rows that violate the conditions most.
    fn choose(&mut self, most: f64, least: f64) {
        let rows = self.active.len();
        if rows <= SET {
            self.set = (0..rows).collect();
            return;
        }
        let mut is_in = vec![false; rows];
        let kept = &self.set[..self.set.len().min(SET / 2)];
        kept.iter().for_each(|&row| is_in[row] = true);
        let gain = |row: usize| -(self.slopes[row] + self.up[row]);
        let loss = |row: usize| -(self.slopes[row] + self.down[row]);
        let room = SET - kept.len();
        let growing: Vec<usize> = (0..rows).filter(|&row| !is_in[row] && gain(row) > least).collect();
        let growing = first(growing, room / 2, |&a, &b| gain(b).total_cmp(&gain(a)).then(a.cmp(&b)));
        growing.iter().for_each(|&row| is_in[row] = true);
        let falling: Vec<usize> = (0..rows).filter(|&row| !is_in[row] && loss(row) < most).collect();
        let falling = first(falling, room / 2, |&a, &b| loss(a).total_cmp(&loss(b)).then(a.cmp(&b)));
        falling.iter().for_each(|&row| is_in[row] = true);
        let mut set = [growing, falling].concat();
        // The last set is taken whole where too few are new.
        set.extend(self.set.iter().copied().take(SET - set.len()));
        let mut seen = vec![false; rows];
        set.retain(|&row| !std::mem::replace(&mut seen[row], true));
        self.set = set;
    }

    /// Has the kernel's values of the working set ready.
    fn fetch(&mut self) {
        let wanted = self.cache.missing(&self.set);
        let rows: Vec<usize> = wanted.iter().map(|&(row, _)| self.problem.rows[self.active[row]]).collect();
        let width = self.active.len();
        // Slots that follow one another are written in place.
        let mut done = 0;
        while done < wanted.len() {
            let run = (done..wanted.len()).take_while(|&next| wanted[next].1 == wanted[done].1 + next - done).count();
            let start = wanted[done].1 * width;
            let out = &mut self.cache.values[start..start + run * width];
            self.gram.values(self.problem.ground, &rows[done..done + run], out);
            done += run;
        }
    }

    /// Moves pairs of the working set until it violates the conditions by less than `tol`; gives the pairs done and the changes.
    fn improve(&mut self, tol: f64, pairs_max: u64) -> (u64, Vec<(usize, f64)>) {
        let set = &self.set;
        let mut local = Local::new(set.iter().map(|&row| {
            [self.slopes[row], self.up[row], self.down[row], self.multipliers[row], self.low[row], self.high[row], self.diagonal[row]]
        }));
        let count = set.len();
        let mut values = vec![0f32; count * count];
        values.par_chunks_mut(count).zip(set).with_min_len(16).for_each(|(values, &row)| {
            let kernels = self.cache.row(row);
            values.iter_mut().zip(set).for_each(|(value, &other)| *value = kernels[other]);
        });
        let before = local.multipliers.clone();
        let most = (PAIRS_A_ROW * count as u64).min(pairs_max);
        let mut pairs = 0;
        while pairs < most && local.step(&values, tol, self.problem.epsilon) {
            pairs += 1;
        }
        let mut changes = Vec::new();
        for (place, &row) in set.iter().enumerate() {
            if local.multipliers[place] != before[place] {
                changes.push((self.cache.slot(row), local.multipliers[place] - before[place]));
                self.multipliers[row] = local.multipliers[place];
                [self.up[row], self.down[row]] = prices(self.multipliers[row], self.low[row], self.high[row], self.problem.epsilon);
            }
        }
        (pairs, changes)
    }

    /// Brings the slopes up to date.
    fn advance(&mut self, changes: &[(usize, f64)]) {
        let width = self.active.len();
        add(&mut self.slopes, &self.cache.values, width, changes);
    }

    /// The mean slope of free multipliers, or the middle of what the bound ones allow.
    fn rho(&self) -> f64 {
        let epsilon = self.problem.epsilon;
        let (mut sum, mut count) = (0.0, 0usize);
        for row in 0..self.multipliers.len() {
            let value = self.multipliers[row];
            if value > self.low[row] && value < self.high[row] && (epsilon == 0.0 || value != 0.0) {
                sum += self.slopes[row] + if value > 0.0 { epsilon } else { -epsilon };
                count += 1;
            }
        }
        if count > 0 {
            return sum / count as f64;
        }
        match self.extremes() {
            [most, least] if most.is_finite() && least.is_finite() => -(most + least) / 2.0,
            [most, _] if most.is_finite() => -most,
            [_, least] if least.is_finite() => -least,
            _ => 0.0,
        }
    }
}

/// What a multiplier's growing and its falling add to the slope.
fn prices(value: f64, low: f64, high: f64, epsilon: f64) -> [f64; 2] {
    let up = if value < high { if value >= 0.0 { epsilon } else { -epsilon } } else { f64::INFINITY };
    let down = if value > low { if value > 0.0 { epsilon } else { -epsilon } } else { f64::NEG_INFINITY };
    [up, down]
}

/// The first ones in an order.
fn first(mut rows: Vec<usize>, count: usize, mut order: impl FnMut(&usize, &usize) -> std::cmp::Ordering) -> Vec<usize> {
    if rows.len() > count && count > 0 {
        rows.select_nth_unstable_by(count - 1, &mut order);
    }
    rows.truncate(count);
    rows.sort_unstable_by(order);
    rows
}

/// `sums += factor * values of the row` for each change.
fn add(sums: &mut [f64], values: &[f32], width: usize, changes: &[(usize, f64)]) {
    let add = |(block, sums): (usize, &mut [f64])| {
        let start = block * BLOCK;
        let row = |row: usize| &values[row * width + start..row * width + start + sums.len()];
        let mut groups = changes.chunks_exact(4);
        let mut total = sums.to_vec();
        for group in &mut groups {
            let [a, b, c, d] = [0, 1, 2, 3].map(|place| row(group[place].0));
            let [p, q, r, s] = [0, 1, 2, 3].map(|place| group[place].1);
            for ((((sum, a), b), c), d) in total.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (p * f64::from(*a) + q * f64::from(*b)) + (r * f64::from(*c) + s * f64::from(*d));
            }
        }
        for &(place, factor) in groups.remainder() {
            total.iter_mut().zip(row(place)).for_each(|(sum, value)| *sum += factor * f64::from(*value));
        }
        sums.copy_from_slice(&total);
    };
    sums.par_chunks_mut(BLOCK).enumerate().for_each(add);
}

/// A working set's share of the state.
struct Local {
    slopes: Vec<f64>,
    up: Vec<f64>,
    down: Vec<f64>,
    multipliers: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    diagonal: Vec<f64>,
    /// What moving each row against the one that grows promises.
    promises: Vec<f64>,
}

impl Local {
    fn new(rows: impl ExactSizeIterator<Item = [f64; 7]>) -> Local {
        let count = rows.len();
        let empty = || Vec::with_capacity(count);
        let mut local = Local {
            slopes: empty(),
            up: empty(),
            down: empty(),
            multipliers: empty(),
            low: empty(),
            high: empty(),
            diagonal: empty(),
            promises: vec![0.0; count],
        };
        for [slope, up, down, multiplier, low, high, diagonal] in rows {
            local.slopes.push(slope);
            local.up.push(up);
            local.down.push(down);
            local.multipliers.push(multiplier);
            local.low.push(low);
            local.high.push(high);
            local.diagonal.push(diagonal);
        }
        local
    }

    /// Moves one pair; whether there was one that violates the conditions by `tol`.
    fn step(&mut self, values: &[f32], tol: f64, epsilon: f64) -> bool {
        let count = self.slopes.len();
        for ((promise, slope), up) in self.promises.iter_mut().zip(&self.slopes).zip(&self.up) {
            *promise = -(slope + up);
        }
        let grows = largest(&self.promises);
        let most = self.promises[grows];
        let kernels = &values[grows * count..(grows + 1) * count];
        let own = self.diagonal[grows];
        let mut least = f64::INFINITY;
        for (slope, down) in self.slopes.iter().zip(&self.down) {
            let loss = -(slope + down);
            least = if loss < least { loss } else { least };
        }
        // Written so that what is no number ends it.
        let is_open = most - least >= tol && most.is_finite();
        if !is_open {
            return false;
        }
        for ((((promise, slope), down), diagonal), kernel) in
            self.promises.iter_mut().zip(&self.slopes).zip(&self.down).zip(&self.diagonal).zip(kernels)
        {
            let violation = most + (slope + down);
            let curvature = own + diagonal - 2.0 * f64::from(*kernel);
            let curvature = if curvature > TAU { curvature } else { TAU };
            *promise = if violation > 0.0 { violation * violation / curvature } else { -1.0 };
        }
        let falls = largest(&self.promises);
        let violation = most + (self.slopes[falls] + self.down[falls]);
        let curvature = (own + self.diagonal[falls] - 2.0 * f64::from(kernels[falls])).max(TAU);
        self.shift(values, grows, falls, violation / curvature, epsilon)
    }

    /// Moves as much from one to the other as limits allow. For a tube, 0 is a limit on the way.
    fn shift(&mut self, values: &[f32], grows: usize, falls: usize, by: f64, epsilon: f64) -> bool {
        let (from, to) = (self.multipliers[falls], self.multipliers[grows]);
        let ceiling = if to < 0.0 && epsilon > 0.0 { 0.0 } else { self.high[grows] };
        let floor = if from > 0.0 && epsilon > 0.0 { 0.0 } else { self.low[falls] };
        let by = by.min(ceiling - to).min(from - floor);
        if !(by > 0.0 && by.is_finite()) {
            return false;
        }
        // What reaches a limit is exactly there.
        self.multipliers[grows] = if by == ceiling - to { ceiling } else { to + by };
        self.multipliers[falls] = if by == from - floor { floor } else { from - by };
        for row in [grows, falls] {
            [self.up[row], self.down[row]] = prices(self.multipliers[row], self.low[row], self.high[row], epsilon);
        }
        let count = self.slopes.len();
        let (grown, fallen) = (&values[grows * count..(grows + 1) * count], &values[falls * count..(falls + 1) * count]);
        for ((slope, grown), fallen) in self.slopes.iter_mut().zip(grown).zip(fallen) {
            *slope += by * (f64::from(*grown) - f64::from(*fallen));
        }
        true
    }
}

/// Where the largest is; the first of equals.
fn largest(values: &[f64]) -> usize {
    // Eight running maxima vectorise; the place is looked for afterwards.
    let mut tops = [f64::NEG_INFINITY; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for lane in 0..8 {
            tops[lane] = if chunk[lane] > tops[lane] { chunk[lane] } else { tops[lane] };
        }
    }
    let top = tops.iter().chain(rest).copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter().position(|&value| value == top).unwrap_or(0)
}

/// Rows of the kernel matrix, those used last.
struct Cache {
    bytes: usize,
    width: usize,
    values: Vec<f32>,
    /// For each active row its slot.
    slots: Vec<Option<u32>>,
    /// For each slot its row and when it was used.
    owners: Vec<(usize, u64)>,
    now: u64,
}

impl Cache {
    fn new(bytes: usize, width: usize) -> Cache {
        let capacity = capacity(bytes, width);
        Cache { bytes, width, values: vec![0.0; capacity * width], slots: vec![None; width], owners: vec![], now: 0 }
    }

    fn slot(&self, row: usize) -> usize {
        self.slots[row].expect("the working set is fetched") as usize
    }

    fn row(&self, row: usize) -> &[f32] {
        let start = self.slot(row) * self.width;
        &self.values[start..start + self.width]
    }

    /// Rows of the set that have to be computed, each with the slot that is now its, slots ascending.
    fn missing(&mut self, set: &[usize]) -> Vec<(usize, usize)> {
        self.now += 1;
        for &row in set {
            if let Some(slot) = self.slots[row] {
                self.owners[slot as usize].1 = self.now;
            }
        }
        let wanted: Vec<usize> = set.iter().copied().filter(|&row| self.slots[row].is_none()).collect();
        let free = (self.values.len() / self.width.max(1)).saturating_sub(self.owners.len()).min(wanted.len());
        let mut slots: Vec<usize> = (self.owners.len()..self.owners.len() + free).collect();
        self.owners.resize(self.owners.len() + free, (usize::MAX, 0));
        let mut old: Vec<usize> = (0..self.owners.len() - free).filter(|&slot| self.owners[slot].1 < self.now).collect();
        old.sort_by_key(|&slot| (self.owners[slot].1, slot));
        slots.extend(old.into_iter().take(wanted.len() - free));
        slots.sort_unstable();
        assert_eq!(slots.len(), wanted.len(), "a cache holds a working set at least");
        for (&row, &slot) in wanted.iter().zip(&slots) {
            if self.owners[slot].0 != usize::MAX {
                self.slots[self.owners[slot].0] = None;
            }
            self.owners[slot] = (row, self.now);
            self.slots[row] = Some(slot as u32);
        }
        wanted.into_iter().zip(slots).collect()
    }

    /// Keeps some of the active rows, and `place` says where each is now.
    fn keep(&mut self, kept: &[usize], place: &[usize]) {
        let (old, new) = (self.width, kept.len());
        let mut owners = Vec::new();
        for slot in 0..self.owners.len() {
            let (row, used) = self.owners[slot];
            if place[row] == usize::MAX {
                continue;
            }
            // What is written lies before what is still to be read.
            let (from, to) = (slot * old, owners.len() * new);
            for (offset, &column) in kept.iter().enumerate() {
                self.values[to + offset] = self.values[from + column];
            }
            owners.push((place[row], used));
        }
        self.width = new;
        self.slots = vec![None; new];
        owners.iter().enumerate().for_each(|(slot, &(row, _))| self.slots[row] = Some(slot as u32));
        self.owners = owners;
    }
}

/// How many rows a cache holds.
fn capacity(bytes: usize, width: usize) -> usize {
    (bytes / (4 * width.max(1))).clamp(SET.min(width), width)
}
