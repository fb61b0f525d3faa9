//! `./x simulate`: the simulation of `tests/simulation`, for as many schedules as wanted,
//! on all processors. One that fails is made smaller and printed.

#[path = "../tests/simulation/auditor.rs"]
mod auditor;
#[path = "../tests/simulation/bug.rs"]
mod bug;
#[path = "../tests/simulation/call.rs"]
mod call;
#[path = "../tests/simulation/calls.rs"]
mod calls;
#[path = "../tests/simulation/conductor.rs"]
mod conductor;
#[path = "../tests/simulation/database.rs"]
mod database;
#[path = "../tests/simulation/dice.rs"]
mod dice;
#[path = "../tests/simulation/gateway.rs"]
mod gateway;
#[path = "../tests/simulation/journal.rs"]
mod journal;
#[path = "../tests/simulation/moves.rs"]
mod moves;
#[path = "../tests/simulation/people.rs"]
mod people;
#[path = "../tests/simulation/quiet.rs"]
mod quiet;
#[path = "../tests/simulation/schedule.rs"]
mod schedule;
#[path = "../tests/simulation/steps.rs"]
mod steps;
#[path = "../tests/simulation/streams.rs"]
mod streams;
#[path = "../tests/simulation/traffic.rs"]
mod traffic;
#[path = "../tests/simulation/world.rs"]
mod world;

use bug::Bug;
use quiet::Summary;
use schedule::{Failure, search, smallest};
use serde_json::json;
use std::{
    num::NonZero,
    ops::Range,
    process::ExitCode,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

/// Between two lines that say how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

struct Arguments {
    schedules: u64,
    seed: u64,
    json: bool,
    plant: Option<Bug>,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut read = Self {
            schedules: 1_000_000,
            seed: 0,
            json: false,
            plant: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} wants a value"));
            match name.as_str() {
                "--schedules" => read.schedules = number(&value()?)?,
                "--seed" => read.seed = number(&value()?)?,
                "--plant" => read.plant = Some(planted(&value()?)?),
                "--json" => read.json = true,
                // Cargo's own.
                "--bench" => {}
                other => return Err(format!("there is no `{other}`")),
            }
        }
        Ok(read)
    }

    fn seeds(&self) -> Range<u64> {
        self.seed..self.seed.saturating_add(self.schedules)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn planted(name: &str) -> Result<Bug, String> {
    Bug::named(name).ok_or_else(|| {
        let all: Vec<_> = Bug::ALL.iter().map(|bug| format!("{bug:?}")).collect();
        format!("there is no `{name}`; there are {}", all.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let began = Instant::now();
    let last = Mutex::new(began);
    let progress = |done: u64| {
        if let Ok(mut last) = last.try_lock()
            && last.elapsed() >= PROGRESS
        {
            *last = Instant::now();
            let (all, seconds) = (arguments.schedules, began.elapsed().as_secs());
            eprintln!("{done} of {all} schedules after {seconds} s");
        }
    };
    let result = search(arguments.seeds(), threads, arguments.plant, progress);
    let seconds = began.elapsed().as_secs_f64();
    match (result, arguments.json) {
        (Ok(summary), json) => succeeded(&arguments, &summary, seconds, json),
        (Err(failure), json) => failed(&arguments, &failure, json),
    }
}

fn succeeded(arguments: &Arguments, summary: &Summary, seconds: f64, json: bool) -> ExitCode {
    if json {
        println!(
            "{}",
            json!({
                "seeds": [arguments.seeds().start, arguments.seeds().end],
                "seconds": seconds,
                "schedules": summary.schedules,
                "committed": summary.committed,
                "aborted": summary.aborted,
                "rehearsed": summary.rehearsed,
                "acknowledged_writes": summary.acknowledged,
                "charges_taken": summary.charges,
                "cancelled": summary.lives,
                "rollouts_ended": summary.rollouts,
                "person_chose_conductor": summary.helped,
                "failure": null,
            })
        );
        return ExitCode::SUCCESS;
    }
    let Summary {
        schedules,
        committed,
        aborted,
        rehearsed,
        acknowledged,
        charges,
        lives,
        rollouts,
        helped,
        ..
    } = summary;
    println!("Schedules gone through in {seconds:.0} s: {schedules}; none failed.");
    println!("  {committed} hand-overs committed, {aborted} aborted, {rehearsed} rehearsed");
    println!("  {acknowledged} writes acknowledged, none lost and none doubled");
    println!("  {rollouts} rollouts ended, {lives} extractions cancelled");
    println!("  {charges} times a conductor took charge");
    println!("  {helped} times a person had to say which");
    ExitCode::SUCCESS
}

fn failed(arguments: &Arguments, failure: &Failure, json: bool) -> ExitCode {
    let Failure { seed, finding } = failure;
    if !json {
        println!("Seed {seed} failed: {finding}");
        println!("Looking for the smallest part of it that fails.");
    }
    let (moves, finding) = smallest(*seed, arguments.plant).unwrap_or_default();
    if json {
        let moves: Vec<_> = moves.iter().map(|one| format!("{one:?}")).collect();
        println!(
            "{}",
            json!({ "failure": { "seed": seed, "finding": finding, "moves": moves } })
        );
        return ExitCode::FAILURE;
    }
    println!("{} moves, then: {finding}", moves.len());
    for one in moves {
        println!("  {one:?}");
    }
    let plant = arguments.plant;
    let plant = plant.map_or_else(String::new, |bug| format!(" --plant {bug:?}"));
    println!("To repeat it: BANYAN_SEED={seed} ./x simulate 1{plant}");
    ExitCode::FAILURE
}
