//! Runs scenes, many at a time, and says what came of them.

use crate::scene::{self, Outcome};
use ringferry_runtime::plant::Plant;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

/// What is to be run.
pub(crate) enum Asked {
    /// What `cargo test` runs.
    Test,
    /// One seed.
    One(u64),
    /// Many, from one on, with a bug or without.
    Many { from: u64, count: u64, plant: Option<Plant> },
}

const USAGE: &str = "usage: cargo test --test sim -- [--seeds COUNT] [--from SEED] [--plant BUG]; or SEED=n for one";

/// Seeds that `cargo test` runs.
const TESTED: u64 = 256;
/// Within so many seeds a planted bug has to be found.
const FOUND_WITHIN: u64 = 1000;
/// A seed that is replayed: it has TLS, reloads, and faults of many kinds.
const REPLAYED: u64 = 7;

impl Asked {
    pub(crate) fn read(mut args: impl Iterator<Item = String>, seed: Option<String>) -> Result<Asked, String> {
        if let Some(seed) = seed {
            return seed.parse().map(Asked::One).map_err(|_| format!("SEED={seed} is no number"));
        }
        let (mut from, mut count, mut plant) = (0, None, None);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value\n{USAGE}"));
            let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is no number\n{USAGE}"));
            match arg.as_str() {
                "--seeds" => count = Some(number(value()?)?),
                "--from" => from = number(value()?)?,
                "--plant" => {
                    let name = value()?;
                    let found = Plant::ALL.into_iter().find(|plant| format!("{plant:?}") == name);
                    plant = Some(found.ok_or_else(|| format!("{name} is none of {:?}", Plant::ALL))?);
                }
                // What `cargo test` passes to every test.
                _ if arg.starts_with("--") || count.is_none() => {}
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(match (count, plant) {
            (None, None) => Asked::Test,
            (count, plant) => Asked::Many { from, count: count.unwrap_or(FOUND_WITHIN), plant },
        })
    }
}

/// Whether all went well.
pub(crate) fn run(asked: &Asked) -> bool {
    std::panic::set_hook(Box::new(|info| LAST_PANIC.set(Some(info.to_string()))));
    match *asked {
        Asked::One(seed) => {
            let outcome = one(seed, None);
            println!("seed {seed}: {outcome:#?}");
            outcome.problems.is_empty()
        }
        Asked::Many { from, count, plant: None } => many(from, count, None).report(),
        Asked::Many { from, count, plant: Some(plant) } => find(plant, from, count),
        Asked::Test => {
            let clean = many(0, TESTED, None).report();
            let again = replays(REPLAYED);
            let missed = Plant::ALL.into_iter().filter(|plant| !find(*plant, 0, FOUND_WITHIN)).count();
            clean && again && missed == 0
        }
    }
}

/// A seed comes to the same, and by the same way, each time.
fn replays(seed: u64) -> bool {
    let (first, second) = (one(seed, None), one(seed, None));
    let same = first == second;
    println!("seed {seed} twice: trace {:016x}, {}", first.trace, if same { "the same" } else { "NOT THE SAME" });
    same
}

/// Whether a planted bug is found.
fn find(plant: Plant, from: u64, count: u64) -> bool {
    let swept = many(from, count, Some(plant));
    match swept.failed.first_key_value() {
        Some((seed, problem)) => println!("{plant:?}: found by seed {seed}: {}", problem.replace('\n', " ")),
        None => println!("{plant:?}: NOT FOUND by {count} seeds from {from}"),
    }
    !swept.failed.is_empty()
}

/// What came of many seeds.
#[derive(Default)]
struct Swept {
    seeds: u64,
    seconds: f64,
    failed: BTreeMap<u64, String>,
    whole: u64,
    bytes: u64,
    turns: u64,
    faults: BTreeMap<String, u64>,
}

impl Swept {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.seeds += 1;
        self.whole += outcome.whole;
        self.bytes += outcome.bytes;
        self.turns += outcome.turns;
        for (fault, count) in outcome.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        if let Some(problem) = outcome.problems.into_iter().next() {
            self.failed.insert(seed, problem);
        }
    }

    /// Says it. Whether all went well, and every fault has happened.
    fn report(&self) -> bool {
        let Swept { seeds, seconds, failed, whole, bytes, turns, faults } = self;
        let rate = *seeds as f64 / seconds.max(1e-9);
        println!(
            "{seeds} seeds in {seconds:.1} s ({rate:.0}/s): {whole} exchanges, {} MB of bodies, {turns} turns, {} failed",
            bytes / 1_000_000,
            failed.len()
        );
        let faults: Vec<_> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        println!("faults: {}", faults.join(", "));
        for (seed, problem) in failed.iter().take(10) {
            println!("seed {seed}: {problem}");
        }
        failed.is_empty()
    }
}

/// Runs seeds on all processors; with a planted bug, until it is found.
fn many(from: u64, count: u64, plant: Option<Plant>) -> Swept {
    let (next, enough) = (AtomicU64::new(from), AtomicBool::new(false));
    let swept = Mutex::new(Swept::default());
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !enough.load(Relaxed) {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    let outcome = one(seed, plant);
                    let mut swept = swept.lock().expect("nobody panics with it");
                    swept.add(seed, outcome);
                    if plant.is_some() && !swept.failed.is_empty() || swept.failed.len() >= FAILED_MAX {
                        enough.store(true, Relaxed);
                    }
                }
            });
        }
    });
    let mut swept = swept.into_inner().expect("nobody panics with it");
    swept.seconds = began.elapsed().as_secs_f64();
    swept
}

/// A sweep that finds so many failures need not go on.
const FAILED_MAX: usize = 50;

fn one(seed: u64, plant: Option<Plant>) -> Outcome {
    let _sown = plant.map(Plant::sow);
    catch_unwind(AssertUnwindSafe(|| scene::run(seed))).unwrap_or_else(|_| {
        let problem = LAST_PANIC.take().unwrap_or_else(|| "a panic that says nothing".to_owned());
        Outcome { problems: vec![problem], ..Outcome::default() }
    })
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}
