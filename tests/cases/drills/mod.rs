//! A short selection of `./x drill`: failures of which each needs another way
//! out, mended by nothing but what is printed, under load; and disks that are really
//! full, where this user may mount some.

use anyhow::{Result, ensure};
use testbed::drill::{self, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_mends_it() -> Result<()> {
    let only = [
        "forward slot made again by hand",
        "constraint of the service's only",
        "undeclared writer before a switch",
        "reverse slot dropped after the switch",
        "service's disk full",
        "state directory's disk full",
        "column on the service's side only",
    ];
    let settings = Settings {
        only: only.map(str::to_owned).to_vec(),
        ..Settings::usual()
    };
    let outcome = Box::pin(drill::run(&settings, &|what| println!("{what}"))).await?;
    println!("{}", outcome.summary());
    ensure!(outcome.is_clean(), "{}", outcome.summary());
    ensure!(outcome.verdicts.len() == only.len());
    for (drill, words) in [
        (only[0], "banyan recopy contracts"),
        (only[1], "drop constraint"),
        (only[2], "banyan writers contracts --forget"),
        (only[3], "banyan recopy contracts"),
        (only[6], "add column"),
    ] {
        let verdict = outcome.verdicts.iter().find(|one| one.drill == drill);
        let followed = verdict.map(|one| one.followed.join("; "));
        ensure!(
            followed.as_ref().is_some_and(|lines| lines.contains(words)),
            "{drill}: {followed:?}"
        );
    }
    Ok(())
}
