//! The threads that kernels share. They wait for the next loop awake for a while, so that one is handed over in a fraction of the time that it
//! takes to wake a thread; and each begins with the same share of a loop every time, so that what a layer wrote lies in the cache of the core
//! that reads it in the next.
//!
//! There is one team, and one loop at a time. Who comes meanwhile, on another thread or inside of a loop, works alone.

use std::any::Any;
use std::cell::Cell;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{Thread, yield_now};

/// Calls `work` with every number below `count`: on several threads if it `pays`. How many there are is what the pool of the calling thread
/// has, so that who sizes the pool sizes the team.
///
/// # Panics
/// When `work` does.
pub(crate) fn each(count: usize, pays: bool, work: impl Fn(usize) + Sync) {
    if pays && count > 1 && !IS_AT_WORK.get() {
        let members = rayon::current_num_threads().min(count).min(MOST);
        if members > 1
            && let Some(threads) = TEAM.claim()
        {
            return TEAM.run(threads, &Job { work: &work, count, members, panic: Mutex::new(None) });
        }
    }
    (0..count).for_each(work);
}

/// The same with every item.
pub(crate) fn each_of<T: Sync>(items: &[T], pays: bool, work: impl Fn(&T) + Sync) {
    each(items.len(), pays, |number| work(&items[number]));
}

/// The same with the parts of a slice, each `long` but for the last, and their numbers.
pub(crate) fn each_part<T: Send>(values: &mut [T], long: usize, pays: bool, work: impl Fn(usize, &mut [T]) + Sync) {
    let (start, len) = (Start(values.as_mut_ptr()), values.len());
    each(len.div_ceil(long.max(1)), pays, |number| {
        let first = number * long;
        // SAFETY: parts lie in the slice and do not overlap, and each number is met once.
        work(number, unsafe { std::slice::from_raw_parts_mut(start.at(first), long.min(len - first)) });
    });
}

struct Start<T>(*mut T);

impl<T> Start<T> {
    fn at(&self, place: usize) -> *mut T {
        self.0.wrapping_add(place)
    }
}

// SAFETY: `each_part` hands each part to one thread.
unsafe impl<T: Send> Sync for Start<T> {}

/// Members of a team at most.
const MOST: usize = 128;
/// Turns that a thread waits awake, some dozens of microseconds: longer than from one layer to the next, shorter than from one request to the next.
const TURNS: usize = 2000;
/// Turns after which the core is offered to others: the one that is waited for may have no other.
const PATIENCE: usize = 50;

thread_local! {
    /// Whether the thread is in a loop, or of the team.
    static IS_AT_WORK: Cell<bool> = const { Cell::new(false) };
}

static TEAM: Team = Team {
    threads: Mutex::new(1),
    gate: AtomicUsize::new(0),
    job: AtomicPtr::new(std::ptr::null_mut()),
    shares: [const { Share { next: AtomicUsize::new(0) } }; MOST],
    sleepers: [const { OnceLock::new() }; MOST],
};

/// A loop.
struct Job<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    count: usize,
    members: usize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Job<'_> {
    /// The first number of a member's share, which ends where the next begins.
    fn first(&self, member: usize) -> usize {
        self.count * member / self.members
    }
}

/// The next number of a member's share, away from what others write.
#[repr(align(128))]
struct Share {
    next: AtomicUsize,
}

struct Sleeper {
    thread: Thread,
    is_asleep: AtomicBool,
}

/// How many are inside of the gate, in its lowest bits.
const INSIDE: usize = OPEN - 1;
/// The bit that says that the gate is open.
const OPEN: usize = 1 << 12;
/// The number of the loop counts in steps of this.
const LOOP: usize = OPEN << 1;

struct Team {
    /// Threads with the caller, who holds it while a loop runs.
    threads: Mutex<usize>,
    /// Who may look at the job: see the constants above.
    gate: AtomicUsize,
    /// A [`Job`], which lives until the gate is closed and nobody is inside.
    job: AtomicPtr<()>,
    shares: [Share; MOST],
    sleepers: [OnceLock<Sleeper>; MOST],
}

impl Team {
    /// The right to a loop, unless it is somebody else's. Tests wait for it, for what they hold against each other are threads.
    fn claim(&self) -> Option<MutexGuard<'_, usize>> {
        if cfg!(test) {
            return Some(self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        }
        match self.threads.try_lock() {
            Ok(threads) => Some(threads),
            Err(TryLockError::Poisoned(threads)) => Some(threads.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn run(&'static self, mut threads: MutexGuard<'_, usize>, job: &Job<'_>) {
        while *threads < job.members {
            let member = *threads;
            // A system that gives no more threads gives fewer members; the shares of those that are missing are the others'.
            let Ok(_) = std::thread::Builder::new().name(format!("kernels {member}")).spawn(move || self.serve(member)) else { break };
            *threads += 1;
        }
        for member in 0..job.members {
            self.shares[member].next.store(job.first(member), Relaxed);
        }
        self.job.store(std::ptr::from_ref(job).cast_mut().cast(), Relaxed);
        self.gate.fetch_add(LOOP | OPEN, SeqCst);
        for sleeper in self.sleepers[..job.members].iter().filter_map(OnceLock::get) {
            if sleeper.is_asleep.load(SeqCst) && sleeper.is_asleep.swap(false, SeqCst) {
                sleeper.thread.unpark();
            }
        }
        IS_AT_WORK.set(true);
        self.work(job, 0);
        IS_AT_WORK.set(false);
        self.gate.fetch_sub(OPEN, SeqCst);
        let mut turns = 0;
        while self.gate.load(Acquire) & INSIDE != 0 {
            turns += 1;
            if turns > PATIENCE { yield_now() } else { spin_loop() }
        }
        drop(threads);
        if let Some(panic) = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
            resume_unwind(panic);
        }
    }

    /// Its own share, and then what others have left.
    fn work(&self, job: &Job<'_>, member: usize) {
        let all = || {
            for share in (member..job.members).chain(0..member) {
                let end = job.first(share + 1);
                loop {
                    let number = self.shares[share].next.fetch_add(1, Relaxed);
                    if number >= end {
                        break;
                    }
                    (job.work)(number);
                }
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
            *job.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
    }

    /// What a thread does all its life.
    fn serve(&self, member: usize) {
        IS_AT_WORK.set(true);
        let sleeper = self.sleepers[member].get_or_init(|| Sleeper { thread: std::thread::current(), is_asleep: AtomicBool::new(false) });
        let (mut last, mut turns) = (0, 0);
        loop {
            let gate = self.gate.load(SeqCst);
            if gate & OPEN != 0 && gate / LOOP != last {
                if self.gate.compare_exchange(gate, gate + 1, SeqCst, Relaxed).is_ok() {
                    // SAFETY: who made the job waits until nobody is inside of the gate.
                    let job = unsafe { &*self.job.load(Relaxed).cast::<Job<'_>>() };
                    if member < job.members {
                        self.work(job, member);
                    }
                    self.gate.fetch_sub(1, Release);
                    (last, turns) = (gate / LOOP, 0);
                }
                continue;
            }
            turns += 1;
            if turns < TURNS {
                if turns.is_multiple_of(PATIENCE) {
                    yield_now()
                } else {
                    spin_loop()
                }
                continue;
            }
            // Who opens the gate looks who sleeps afterwards, and who goes to sleep looks at the gate afterwards: one of both sees the other.
            sleeper.is_asleep.store(true, SeqCst);
            let gate = self.gate.load(SeqCst);
            if gate & OPEN == 0 || gate / LOOP == last {
                std::thread::park();
            }
            sleeper.is_asleep.store(false, SeqCst);
            turns = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    fn pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn every_number_is_met_once() {
        for (threads, count) in [(1, 7), (2, 0), (2, 1), (2, 2), (3, 100), (7, 5), (16, 1000)] {
            let met: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..50 {
                pool(threads, || each_of(&met, true, |met| _ = met.fetch_add(1, Relaxed)));
            }
            assert!(met.iter().all(|met| met.load(Relaxed) == 50), "{threads} threads, {count} numbers");
        }
    }

    #[test]
    fn threads_that_sleep_come_and_share() {
        pool(2, || {
            for pause in [0, 5, 0, 20] {
                std::thread::sleep(Duration::from_millis(pause));
                let who = Mutex::new(Vec::new());
                each(2, true, |_| {
                    std::thread::sleep(Duration::from_millis(200));
                    who.lock().unwrap().push(std::thread::current().id());
                });
                let who = who.into_inner().unwrap();
                assert_ne!(who[0], who[1], "two threads after {pause} ms");
            }
        });
    }

    #[test]
    fn loops_in_loops_and_beside_loops_end() {
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| pool(3, || each(10, true, |_| each(10, true, |_| _ = total.fetch_add(1, Relaxed)))));
            }
        });
        assert_eq!(total.into_inner(), 400);
    }

    #[test]
    fn parts_are_all_of_a_slice() {
        let mut values = vec![0; 1003];
        pool(4, || each_part(&mut values, 10, true, |number, part| part.fill(number + 1)));
        assert!(values.iter().enumerate().all(|(place, value)| *value == place / 10 + 1));
        each_part(&mut values[..0], 0, true, |_, _| panic!("there is no part of nothing"));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        for bad in 0..4 {
            let found = catch_unwind(|| pool(2, || each(4, true, |number| assert_ne!(number, bad, "as asked"))));
            assert!(found.is_err(), "{bad}");
            let total = AtomicUsize::new(0);
            pool(2, || each(4, true, |number| _ = total.fetch_add(number, Relaxed)));
            assert_eq!(total.into_inner(), 6);
        }
    }
}
