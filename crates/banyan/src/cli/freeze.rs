//! `banyan freeze`: has both databases refuse migrations of an extraction's tables
//! for a while. Needs no `serve`.

use super::{moved::mover_of, render};
use crate::exit::Failure;
use plan::Plan;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// What it prints with `--json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Until when, by the databases' clock; `None`: it is over.
    pub(super) frozen_until: Option<String>,
    /// With `--off`: whether there was one to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended: Option<bool>,
}

pub(super) async fn run(
    plan: &Plan,
    extraction: &str,
    lasts: Option<Duration>,
    json: bool,
) -> Result<(), Failure> {
    let mover = mover_of(plan, extraction)?;
    let name = &mover.extraction().name;
    let Some(lasts) = lasts else {
        let ended = mover.unfreeze().await.map_err(Failure::refused)?;
        if json {
            return render::json(&Report {
                frozen_until: None,
                ended: Some(ended),
            });
        }
        if ended {
            say!("The tables of `{name}` may be changed again.");
        } else {
            say!("The tables of `{name}` are not frozen.");
        }
        return Ok(());
    };
    let until = mover.freeze(lasts).await.map_err(Failure::refused)?;
    if json {
        return render::json(&Report {
            frozen_until: Some(until),
            ended: None,
        });
    }
    let text = format!(
        "Until {until} both databases refuse to change the tables of `{name}` (rows are written \
         as before). `banyan freeze {name} --off` ends it."
    );
    say!("{}", render::wrapped(&text));
    Ok(())
}
