//! `CANARY_PERCENTAGE` and `ROUTE_TO_MONOLITH`: what the environment of
//! `banyan serve` wants of the extractions when it starts.
//!
//! Both only ask the conductor, as a person with the command line would; so
//! neither can send a write to a side that does not own it. Where both sides
//! share the data, the share is one of the writes, too. Each counts once
//! for each extraction: what people ask for afterwards holds.

use async_trait::async_trait;
use conductor::{Asked, Refused, Shift, Worker, status::ExtractionStatus};
use plan::{ExtractionName, Percent};
use protocol::Side;
use std::{collections::BTreeMap, time::Duration};
use tokio::task::JoinSet;

const SHARE: &str = "CANARY_PERCENTAGE";
const MONOLITH: &str = "ROUTE_TO_MONOLITH";

/// What the environment wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// So many of the clients go to the service.
    Share(Percent),
    /// Everything goes to the monolith, which owns.
    Monolith,
}

/// Reads both. The error says which one is wrong.
pub(crate) fn read(environment: impl Fn(&str) -> Option<String>) -> Result<Option<Wanted>, String> {
    let value = |name| environment(name).filter(|text: &String| !text.trim().is_empty());
    let to_monolith = match value(MONOLITH) {
        None => false,
        Some(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return Err(format!("{MONOLITH} is `{text}`: write true or false")),
        },
    };
    let share = value(SHARE).map(|text| {
        let number = text.trim();
        let number = number.strip_suffix('%').unwrap_or(number);
        Percent::parse(&format!("{number}%"))
            .map_err(|_| format!("{SHARE} is `{text}`: write 0 to 100, such as 5 or 0.25"))
    });
    let share = share.transpose()?;
    Ok(if to_monolith {
        Some(Wanted::Monolith)
    } else {
        share.map(Wanted::Share)
    })
}

/// How long is waited, and how often tried.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Between two looks at what an extraction is doing.
    look: Duration,
    /// After what failed.
    pause: Duration,
    /// Each try of a rollback may hold writes for as long as the plan allows.
    tries: u32,
}

const PACE: Pace = Pace {
    look: Duration::from_secs(1),
    pause: Duration::from_secs(5),
    tries: 5,
};

/// Has it done for all extractions; ends with the set that it returns. To be
/// called before the workers have looked at their databases: they answer then
/// what was asked before they route by what they found.
fn apply(wanted: Wanted, workers: &BTreeMap<ExtractionName, Worker>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (name, worker) in workers {
        let (name, worker) = (name.clone(), worker.clone());
        tasks.spawn(async move {
            let done = match wanted {
                Wanted::Share(share) => {
                    let reads_and_writes = Shift::Both {
                        reads: share,
                        writes: share,
                    };
                    let asked = if worker.splits_writes() {
                        reads_and_writes
                    } else {
                        Shift::Reads(share)
                    };
                    shift(&worker, asked, PACE).await
                }
                Wanted::Monolith => take_back(&worker, PACE).await,
            };
            match done {
                Ok(Some(status)) => {
                    let (owner, reads) = (status.owner, status.reads_percent);
                    let writes = status.writes_percent;
                    tracing::info!(extraction = %name, owner, reads, writes,
                        "set as the environment wants");
                }
                Ok(None) => {
                    tracing::info!(extraction = %name, "nothing of it goes to the service");
                }
                Err(error) => {
                    let variable = match wanted {
                        Wanted::Share(_) => SHARE,
                        Wanted::Monolith => MONOLITH,
                    };
                    tracing::error!(extraction = %name, variable, %error,
                        "not set as the environment wants; see `banyan status`");
                }
            }
        });
    }
    tasks
}

/// The same for another conductor of this process: what is done stays done, the
/// rest is asked anew.
pub(crate) fn renewed(
    before: Option<JoinSet<()>>,
    wanted: Option<Wanted>,
    workers: &BTreeMap<ExtractionName, Worker>,
) -> Option<JoinSet<()>> {
    let mut before = before;
    if let Some(tasks) = &mut before {
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            return before;
        }
    }
    wanted.map(|wanted| apply(wanted, workers))
}

/// An extraction of which something is asked.
#[async_trait]
trait Subject: Send + Sync {
    async fn ask(&self, asked: Asked) -> Result<ExtractionStatus, Refused>;
    fn phase(&self) -> String;
}

#[async_trait]
impl Subject for Worker {
    async fn ask(&self, asked: Asked) -> Result<ExtractionStatus, Refused> {
        Self::ask(self, asked).await.map(|(status, _)| status)
    }

    fn phase(&self) -> String {
        self.status().phase
    }
}

/// Whether something can be asked of it now.
fn is_owned(phase: &str) -> bool {
    matches!(phase, "following" | "switched" | "shared")
}

/// Whether all of it is the monolith's without anything being asked.
fn has_not_begun(phase: &str) -> bool {
    matches!(phase, "planned" | "preparing" | "copying" | "cancelling")
}

/// Shifts now, or as soon as there is something to shift to.
async fn shift(
    subject: &impl Subject,
    shift: Shift,
    pace: Pace,
) -> Result<Option<ExtractionStatus>, Refused> {
    let mut tries = 0;
    loop {
        match subject.ask(Asked::Shift(shift)).await {
            Ok(status) => return Ok(Some(status)),
            // Not begun, not copied yet, or being handed over.
            Err(Refused::State(_) | Refused::Shared(_)) => tokio::time::sleep(pace.look).await,
            Err(refused) => {
                tries += 1;
                if tries >= pace.tries {
                    return Err(refused);
                }
                tokio::time::sleep(pace.pause).await;
            }
        }
        while !is_owned(&subject.phase()) {
            tokio::time::sleep(pace.look).await;
        }
    }
}

/// Reads to the monolith, and the writes, too, by a rollback where the service
/// owns. `None`: it has not begun, so that all of it is the monolith's.
async fn take_back(
    subject: &impl Subject,
    pace: Pace,
) -> Result<Option<ExtractionStatus>, Refused> {
    let mut tries = 0;
    loop {
        let refused = match subject.ask(Asked::Withdraw).await {
            Ok(status) if status.writes_stay() => return Ok(Some(status)),
            Ok(_) => match subject.ask(Asked::HandOver(Side::Monolith)).await {
                Ok(status) if status.writes_stay() => return Ok(Some(status)),
                Ok(status) => {
                    let why = status.last_handover.and_then(|handover| handover.reason);
                    let why = why.unwrap_or_else(|| "it was aborted".to_owned());
                    Refused::Failed(format!("the rollback was not done: {why}"))
                }
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        let phase = subject.phase();
        if has_not_begun(&phase) {
            return Ok(None);
        }
        if let Refused::State(_) = refused
            && !is_owned(&phase)
        {
            // A hand-over is under way; its end decides what there is to do.
            tokio::time::sleep(pace.look).await;
            continue;
        }
        tries += 1;
        if tries >= pace.tries {
            return Err(refused);
        }
        tokio::time::sleep(pace.pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const FAST: Pace = Pace {
        look: Duration::from_millis(1),
        pause: Duration::from_millis(1),
        tries: 3,
    };

    fn wanted(share: Option<&str>, monolith: Option<&str>) -> Result<Option<Wanted>, String> {
        read(|name| {
            let text = if name == SHARE { share } else { monolith };
            text.map(str::to_owned)
        })
    }

    fn percent(text: &str) -> Percent {
        Percent::parse(text).unwrap()
    }

    #[test]
    fn variables_are_read_as_people_write_them() {
        let reads = |text| Ok(Some(Wanted::Share(percent(text))));
        assert_eq!(wanted(None, None), Ok(None));
        assert_eq!(wanted(Some(" "), Some("")), Ok(None));
        assert_eq!(wanted(Some("5"), None), reads("5%"));
        assert_eq!(wanted(Some("0.25%"), Some("False")), reads("0.25%"));
        assert_eq!(wanted(Some("0"), None), reads("0%"));
        // Who wants everything at the monolith wants no share elsewhere.
        assert_eq!(wanted(Some("5"), Some("True")), Ok(Some(Wanted::Monolith)));
        assert!(wanted(Some("101"), None).unwrap_err().contains(SHARE));
        assert!(wanted(Some("5.123"), None).is_err());
        let maybe = wanted(None, Some("maybe")).unwrap_err();
        assert!(maybe.contains(MONOLITH) && maybe.contains("maybe"));
    }

    /// An extraction that answers as it is told, in order.
    struct Scripted {
        phases: Mutex<Vec<&'static str>>,
        answers: Mutex<Vec<Result<&'static str, Refused>>>,
        asked: Mutex<Vec<Asked>>,
    }

    impl Scripted {
        fn new(
            phases: &[&'static str],
            answers: impl IntoIterator<Item = Result<&'static str, Refused>>,
        ) -> Self {
            let mut phases = phases.to_vec();
            let mut answers: Vec<_> = answers.into_iter().collect();
            phases.reverse();
            answers.reverse();
            Self {
                phases: Mutex::new(phases),
                answers: Mutex::new(answers),
                asked: Mutex::default(),
            }
        }

        fn asked(&self) -> Vec<Asked> {
            self.asked.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Subject for Scripted {
        async fn ask(&self, asked: Asked) -> Result<ExtractionStatus, Refused> {
            self.asked.lock().unwrap().push(asked);
            let answer = self.answers.lock().unwrap().pop();
            answer
                .expect("asked too often")
                .map(|owner| ExtractionStatus {
                    owner: owner.to_owned(),
                    ..ExtractionStatus::default()
                })
        }

        fn phase(&self) -> String {
            let mut phases = self.phases.lock().unwrap();
            let last = phases.last().copied().unwrap_or("following");
            if phases.len() > 1 {
                phases.pop();
            }
            last.to_owned()
        }
    }

    fn not_now() -> Refused {
        Refused::State(protocol::lifecycle::Rejection::WrongState {
            state: "copying",
            remedy: "wait",
        })
    }

    fn failed() -> Refused {
        Refused::Failed("no".to_owned())
    }

    const BACK: Asked = Asked::HandOver(Side::Monolith);

    #[tokio::test]
    async fn the_share_waits_until_there_is_something_to_read_from() {
        let subject = Scripted::new(
            &["planned", "copying", "following"],
            [Err(not_now()), Ok("monolith")],
        );
        let five = Shift::Reads(percent("5%"));
        assert!(shift(&subject, five, FAST).await.unwrap().is_some());
        assert_eq!(subject.asked(), [Asked::Shift(five); 2]);
        let broken = Scripted::new(&["following"], (0..3).map(|_| Err(failed())));
        assert!(shift(&broken, five, FAST).await.is_err());
    }

    #[tokio::test]
    async fn what_the_service_owns_is_rolled_back() {
        let reads = Asked::Withdraw;
        let before = Scripted::new(&["following"], [Ok("monolith")]);
        assert!(take_back(&before, FAST).await.unwrap().is_some());
        assert_eq!(before.asked(), [reads]);
        let after = Scripted::new(&["switched"], [Ok("service"), Ok("monolith")]);
        assert!(take_back(&after, FAST).await.unwrap().is_some());
        assert_eq!(after.asked(), [reads, BACK]);
        // Aborted once, and under way when it is looked at.
        let aborted = Scripted::new(
            &["switched", "switching", "switched"],
            [
                Ok("service"),
                Ok("service"),
                Err(not_now()),
                Ok("service"),
                Ok("monolith"),
            ],
        );
        assert!(take_back(&aborted, FAST).await.unwrap().is_some());
        assert_eq!(aborted.asked(), [reads, BACK, reads, reads, BACK]);
    }

    #[tokio::test]
    async fn what_has_not_begun_is_left_alone_and_what_fails_is_given_up() {
        let planned = Scripted::new(&["planned"], [Err(not_now())]);
        assert!(take_back(&planned, FAST).await.unwrap().is_none());
        let answers = (0..3).flat_map(|_| [Ok("service"), Err(failed())]);
        let broken = Scripted::new(&["switched"], answers);
        assert!(take_back(&broken, FAST).await.is_err());
        assert_eq!(broken.asked().len(), 6);
    }
}
