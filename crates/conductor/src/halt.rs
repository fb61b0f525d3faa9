//! The halt: what stops all automatic steps of all rollouts at once, until a person
//! ends it. It outlasts a restart.

use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Orders that may wait.
const ORDERS_MAX: usize = 16;

/// What a person has decided for all rollouts. Persisted: never edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event")]
enum Event {
    #[serde(rename = "halted")]
    Halted { by: String, note: String },
    #[serde(rename = "halt-ended")]
    Ended {
        by: String,
        /// Not written where none was given, nor by earlier releases.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
}

/// The names of its events.
const KINDS: [&str; 2] = ["halted", "halt-ended"];

/// Whether all rollouts are halted. Cheap to clone; does not keep the journal.
#[derive(Clone)]
pub struct Halt {
    orders: mpsc::Sender<GivenHalt>,
    reason: watch::Receiver<Option<String>>,
}

/// A decision that waits to be written down.
struct GivenHalt {
    event: Event,
    /// The halt that it is about; `None`: whichever there is.
    expected: Option<String>,
    done: oneshot::Sender<Result<(), HaltError>>,
}

/// Why a decision was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HaltError {
    /// It could not be written down.
    #[error("it could not be written down: the log of `banyan serve` says why")]
    Unwritten,
    /// The halt is not the one any more that was looked at.
    #[error(
        "it has changed since this was decided on: {}. Nothing was done. Look why it is, and end \
         it if that still fits", match .now {
            Some(now) => format!("it is {now}"),
            None => "that halt has ended".to_owned(),
        }
    )]
    Changed {
        /// Who halted by now, and why.
        now: Option<String>,
    },
}

impl Halt {
    /// Who halted, and why; `None` where nobody did.
    pub fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    /// Halts.
    pub async fn begin(&self, by: &str, note: &str) -> Result<(), HaltError> {
        let event = Event::Halted {
            by: by.to_owned(),
            note: note.to_owned(),
        };
        self.order(event, None).await
    }

    /// Ends it; with `expected` only the halt of that reason, as the status said it.
    pub async fn end(
        &self,
        by: &str,
        note: &str,
        expected: Option<String>,
    ) -> Result<(), HaltError> {
        let event = Event::Ended {
            by: by.to_owned(),
            note: note.to_owned(),
        };
        self.order(event, expected).await
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.reason.clone()
    }

    async fn order(&self, event: Event, expected: Option<String>) -> Result<(), HaltError> {
        let (done, is_done) = oneshot::channel();
        let given = GivenHalt {
            event,
            expected,
            done,
        };
        let sent = self.orders.send(given).await;
        sent.map_err(|_| HaltError::Unwritten)?;
        is_done.await.unwrap_or(Err(HaltError::Unwritten))
    }
}

/// As the journal has it, and the loop that the caller spawns.
pub(crate) async fn start(
    journal: Arc<Journal>,
    stop: CancellationToken,
) -> Result<(Halt, impl Future<Output = ()> + Send + use<>), JournalError> {
    let last: Option<Event> = journal.last_of_all(KINDS).await?;
    let (sender, reason) = watch::channel(last.and_then(|event| event.reason()));
    let (orders, mut receiver) = mpsc::channel::<GivenHalt>(ORDERS_MAX);
    let run = async move {
        loop {
            let given = tokio::select! {
                () = stop.cancelled() => return,
                Some(given) = receiver.recv() => given,
            };
            let GivenHalt {
                event,
                expected,
                done,
            } = given;
            let now = sender.borrow().clone();
            // A form does not keep the spaces around a note.
            let same = |expected: &String| now.as_deref().map(str::trim) == Some(expected.trim());
            if !expected.as_ref().is_none_or(same) {
                drop(done.send(Err(HaltError::Changed { now })));
                continue;
            }
            if let Err(error) = journal.append_of_all(&event).await {
                // Who waits for it hears that it was not done.
                tracing::error!(%error, ?event, "not recorded");
                continue;
            }
            tracing::warn!(?event, "recorded");
            sender.send_replace(event.reason());
            drop(done.send(Ok(())));
        }
    };
    Ok((Halt { orders, reason }, run))
}

impl Event {
    fn reason(&self) -> Option<String> {
        match self {
            Self::Halted { by, note } if note.is_empty() => Some(format!("halted by {by}")),
            Self::Halted { by, note } => Some(format!("halted by {by}: {note}")),
            Self::Ended { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never edited: what these lines say was written by some release.
    const GOLDEN: &str = include_str!("../tests/golden/halt_events.jsonl");

    #[test]
    fn halts_of_earlier_releases_are_read_as_they_were_written() {
        let halted = |note: &str| Event::Halted {
            by: "ada".to_owned(),
            note: note.to_owned(),
        };
        let ended = |note: &str| Event::Ended {
            by: "ada".to_owned(),
            note: note.to_owned(),
        };
        let written = [halted(""), halted("incident 7"), ended(""), ended("mended")];
        let read = |line| serde_json::from_str::<Event>(line).unwrap();
        assert_eq!(GOLDEN.lines().map(read).collect::<Vec<_>>(), written);
        let lines = written.map(|event| serde_json::to_string(&event).unwrap());
        assert_eq!(lines.join("\n"), GOLDEN.trim_end());
        for line in lines {
            assert!(
                KINDS
                    .iter()
                    .any(|kind| line.contains(&format!("\"event\":\"{kind}\"")))
            );
        }
    }
}
