//! A way through a network on the pool's threads, which stay awake as long as it lasts.
//!
//! A way is some hundred parallel loops of microseconds, with less between them. rayon's threads sleep after some microseconds without work, and to
//! wake one takes longer than such a loop; on a virtual machine, whose processor is given back meanwhile, fifty microseconds. So some threads look
//! for work instead of sleeping, as OpenMP's do by default, but no longer than the way lasts.

use std::cell::Cell;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Multiplications and additions that are worth handing them over to another thread: for fewer the handover costs more than it saves.
const HANDOVER_FLOPS: f64 = 4e6;
/// For so many a further thread stays awake.
const AWAKE_FLOPS: f64 = 1e7;
/// Looks for work without success after which a thread may sleep: a fifth of a millisecond.
const LOOKS: u32 = 200;
/// Pauses of the processor between two looks.
const PAUSES: u32 = 16;

thread_local! {
    /// Whether this thread is on such a way: then it must not wait for others to end theirs.
    static IS_WORKING: Cell<bool> = const { Cell::new(false) };
}

/// Runs work of so many multiplications and additions on a thread of the pool, when that is much: from any other thread each parallel loop in it is
/// handed over and waited for by itself.
pub(crate) fn on_pool<T: Send>(flops: f64, work: impl FnOnce() -> T + Send) -> T {
    if flops < HANDOVER_FLOPS {
        return work();
    }
    let awake = Awake::new(flops);
    let result = rayon::scope(|_| {
        let before = IS_WORKING.replace(true);
        let result = work();
        IS_WORKING.set(before);
        result
    });
    drop(awake);
    result
}

/// Keeps threads awake until it is dropped.
struct Awake(Arc<AtomicBool>);

impl Awake {
    fn new(flops: f64) -> Awake {
        let is_over = Arc::new(AtomicBool::new(false));
        let others = rayon::current_num_threads().saturating_sub(1).min((flops / AWAKE_FLOPS) as usize);
        for _ in 0..others {
            let is_over = is_over.clone();
            rayon::spawn(move || stay(&is_over));
        }
        Awake(is_over)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes up work that others have, until the way is over or there has been none for long.
fn stay(is_over: &AtomicBool) {
    let mut looks = 0;
    while !IS_WORKING.get() && looks < LOOKS && !is_over.load(Ordering::Relaxed) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => looks = 0,
            _ => {
                looks += 1;
                (0..PAUSES).for_each(|_| spin_loop());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn several_ways_at_once_all_end() {
        let sum = |seed: u64| (0..10_000u64).into_par_iter().map(|number| number ^ seed).sum::<u64>();
        let wanted: Vec<u64> = (0..8).map(sum).collect();
        std::thread::scope(|scope| {
            let ways: Vec<_> =
                (0..8).map(|seed| scope.spawn(move || (0..50).map(|_| on_pool(1e9, || sum(seed))).collect::<Vec<u64>>())).collect();
            for (way, wanted) in ways.into_iter().zip(wanted) {
                assert_eq!(way.join().unwrap(), vec![wanted; 50]);
            }
        });
        // A way within a way.
        assert_eq!(on_pool(1e9, || on_pool(1e9, || sum(1))), sum(1));
    }
}
