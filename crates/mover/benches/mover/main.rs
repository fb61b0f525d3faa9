//! `./x bench mover`: what the mover takes for its work, beside what people use
//! for it today, in one run on private clusters.

mod copying;
mod drain;
mod figures;
mod ground;
#[path = "../../tests/mover/memory.rs"]
mod memory;
mod peers;
#[path = "../../tests/mover/plans.rs"]
mod plans;
#[path = "../../tests/mover/queries.rs"]
mod queries;
#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/mover/follow/scene.rs"]
mod scene;

use anyhow::Result;
use clap::Parser;
use figures::Figures;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A first copy with its indexes, and a verify of it
    Copy,
    /// A backlog of changes
    Drain,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// Only this part; may be repeated
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Rounds of the copy, in each of which every method has its turn
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Rows of the copied data in percent of 11,001,100, 2,026 MB
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    percent: u32,
    /// Print only the line that sums it up
    #[arg(long)]
    json: bool,
    /// What cargo hands to each bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let wanted = |part| arguments.part.is_empty() || arguments.part.contains(&part);
    let mut figures = Figures::new(!arguments.json);
    if wanted(Part::Copy) {
        copying::measure(arguments.rounds, arguments.percent, &mut figures).await?;
    }
    if wanted(Part::Drain) {
        drain::measure(&mut figures).await?;
    }
    figures.print();
    Ok(())
}
