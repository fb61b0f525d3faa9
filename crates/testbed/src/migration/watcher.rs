//! Looks at `banyan status` all the time, tells what has changed, and lets others wait
//! for it.

use super::board::Board;
use super::news;
use crate::banyan::CommandLine;
use crate::banyan::answers::{Extraction, Handover, Status};
use anyhow::{Context, Result, bail};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Each look is a process: not more often than anybody can read.
const INTERVAL: Duration = Duration::from_millis(500);

/// A task that looks. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Watcher {
    status: watch::Receiver<Status>,
    handovers: Arc<Mutex<Vec<(String, Handover)>>>,
    task: JoinHandle<()>,
}

impl Watcher {
    pub fn start(banyan: CommandLine, board: Arc<Board>) -> Self {
        let (sender, status) = watch::channel(Status::default());
        let handovers = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::clone(&handovers);
        let task = tokio::spawn(async move {
            let mut last = Status::default();
            loop {
                // One that is missed is followed by the next.
                if let Ok(status) = banyan.status().await {
                    tell(&last, &status, &board, &ended);
                    last = status.clone();
                    sender.send_replace(status);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Self {
            status,
            handovers,
            task,
        }
    }

    /// Waits until an extraction is as wanted; how it is then.
    pub async fn until(
        &self,
        what: &str,
        limit: Duration,
        name: &str,
        mut is: impl FnMut(&Extraction) -> bool,
    ) -> Result<Extraction> {
        let mut status = self.status.clone();
        let waited = timeout(limit, async {
            let now = status.wait_for(|status| is(&status.of(name))).await?;
            anyhow::Ok(now.of(name))
        });
        let Ok(found) = waited.await else {
            let (last, seconds) = (self.of(name), limit.as_secs());
            bail!("gave up waiting for {what} after {seconds} s; {name} is {last:#?}");
        };
        found.with_context(|| format!("waiting for {what}"))
    }

    /// How an extraction was last.
    pub fn of(&self, name: &str) -> Extraction {
        self.status.borrow().of(name)
    }

    /// Every hand-over that has ended, in order, with its extraction.
    pub fn handovers(&self) -> Vec<(String, Handover)> {
        let handovers = self.handovers.lock();
        handovers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tell(last: &Status, now: &Status, board: &Board, ended: &Mutex<Vec<(String, Handover)>>) {
    for extraction in &now.extractions {
        let name = &extraction.name;
        let before = last.of(name);
        for sentence in news::sentences(&before, extraction) {
            board.say(name, &sentence);
        }
        board.show(name, now_in_words(extraction));
        if let Some(handover) = &extraction.last_handover
            && handover.outcome != "under-way"
            && !before
                .last_handover
                .is_some_and(|known| news::is_same(&known, handover))
        {
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push((name.clone(), handover.clone()));
        }
    }
}

/// One line of what is so.
fn now_in_words(extraction: &Extraction) -> String {
    let Extraction {
        phase,
        owner,
        reads_percent,
        rollout,
        ..
    } = extraction;
    let Some(rollout) = rollout else {
        return phase.clone();
    };
    let place = match (rollout.state.as_str(), rollout.step) {
        ("running", Some(step)) => format!("step {step}/{}", rollout.steps.len()),
        (state, _) => state.to_owned(),
    };
    let waits = rollout.waits_for.first();
    let waits = waits.map_or_else(String::new, |what| format!("; {what}"));
    let share = if owner == "monolith" {
        format!("{reads_percent:.0} % of reads at the service")
    } else {
        format!("owner: {owner}")
    };
    format!("{phase}, {share}; {place}{waits}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banyan::answers::Rollout;

    #[test]
    fn a_line_says_share_step_and_what_is_waited_for() {
        let rollout = Rollout {
            state: "running".to_owned(),
            step: Some(1),
            steps: vec![String::new(); 4],
            waits_for: vec!["the step's time".to_owned()],
            ..Rollout::default()
        };
        let extraction = Extraction {
            phase: "following".to_owned(),
            owner: "monolith".to_owned(),
            reads_percent: 50.0,
            rollout: Some(rollout),
            ..Extraction::default()
        };
        assert_eq!(
            now_in_words(&extraction),
            "following, 50 % of reads at the service; step 1/4; the step's time"
        );
    }
}
