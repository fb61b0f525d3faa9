//! Random schemas, moved out and back while random transactions run on both
//! sides, processes die, sessions end, networks fall silent and servers are
//! killed. At the end of each step an oracle compares both sides by SQL of its
//! own, and what the writers were told with what is there.
//!
//! The seed of each round is printed. `BANYAN_SEED=n` begins with that one,
//! `BANYAN_ROUNDS=n` runs so many of them. Without nextest, which ends a test
//! after six minutes:
//!
//! ```text
//! BANYAN_SEED=17 BANYAN_ROUNDS=200 cargo test --workspace --test mover \
//!     random_schemas -- --nocapture
//! ```

mod conductor;
mod faults;
mod round;

use crate::extraction::databases::clusters_with;
use anyhow::{Context, Result};
use faults::Networks;
use round::Summary;
use testbed::cluster::Options;

/// Each takes some ten seconds: hundreds are for who looks for more.
const ROUNDS: u64 = 1;

/// One of the short ones: few tables, there and back once.
const SEED: u64 = 2004;

fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text}")),
        Err(_) => Ok(otherwise),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn move_out_and_back_through_faults() -> Result<()> {
    // Transactions leave the decoder's memory early, as large ones do.
    let options = Options::fast()
        .setting("logical_decoding_work_mem", "64kB")
        .setting("max_prepared_transactions", "20")
        .setting("autovacuum_naptime", "1s")
        // SIGKILL may cut a write of a page in two.
        .setting("full_page_writes", "on");
    let clusters = clusters_with(&options).await?;
    let networks = Networks::before(&clusters).await?;
    let first = number("BANYAN_SEED", SEED)?;
    let mut total = Summary::default();
    for seed in first..first + number("BANYAN_ROUNDS", ROUNDS)? {
        println!("BANYAN_SEED={seed}");
        let round = round::run(&clusters, &networks, seed);
        let summary = Box::pin(round)
            .await
            .with_context(|| format!("run it again with BANYAN_SEED={seed} BANYAN_ROUNDS=1"))?;
        println!("  {summary:?}");
        total.add(&summary);
    }
    println!("{total:?}");
    total.ensure_something_happened()
}
