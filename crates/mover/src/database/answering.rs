//! Whether servers still answer, while something of ours waits for them.
//!
//! A statement may take hours, so silence alone says nothing. A host that has
//! vanished shows in its kernel's silence ([`transport`]); but where something in
//! between, a proxy or a tunnel, acknowledges what it swallows, a statement would wait
//! for ever. So whoever waits long asks by a new connection.

use super::{
    connect_error::ConnectError,
    session,
    transport::{self, Transport},
};
use crate::error::MoverError;
use plan::DatabaseUrl;
use protocol::Side;
use std::time::Duration;
use tokio::time::sleep;

/// What takes less time is not looked at.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(3);

/// So many in a row that came to nothing: a server that is busy may miss one.
const MOST_MISSED: u32 = 3;

/// All of it: half a minute at most, with connections of five seconds.
const LIMIT: Duration = Duration::from_secs(26);

/// Ends, with an error, when one of both servers has not answered for about half a
/// minute; for beside what waits for them.
pub(crate) async fn unanswered(monolith: &DatabaseUrl, service: &DatabaseUrl) -> MoverError {
    sleep(FIRST_LOOK).await;
    let mut missed = Missed::default();
    loop {
        let answered = tokio::join!(answers(monolith), answers(service));
        if let Some(side) = missed.note(answered.into()) {
            return MoverError::Deadline {
                side,
                doing: "waiting for it to answer anything",
                limit: LIMIT,
            };
        }
        sleep(PAUSE).await;
    }
}

/// How many looks in a row came to nothing, on each side.
#[derive(Debug, Default)]
struct Missed([u32; 2]);

impl Missed {
    /// The side that has not answered for too long.
    fn note(&mut self, answered: [bool; 2]) -> Option<Side> {
        for (missed, answered) in self.0.iter_mut().zip(answered) {
            *missed = if answered { 0 } else { *missed + 1 };
        }
        let at = self.0.iter().position(|missed| *missed >= MOST_MISSED)?;
        Side::BOTH.get(at).copied()
    }
}

/// Whatever the server says, it is there.
async fn answers(database: &DatabaseUrl) -> bool {
    let log_in = |transport: Transport| async move {
        let encryption = transport.encryption();
        session::log_in(database, transport, encryption)
            .await
            .map(drop)
    };
    let opened = transport::open(database, log_in).await;
    !matches!(
        opened,
        Err(ConnectError::TimedOut(_) | ConnectError::Network(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_may_miss_some_but_not_all() {
        let mut missed = Missed::default();
        for look in 0..9 {
            assert_eq!(missed.note([look % 3 == 0, true]), None);
        }
        assert_eq!(missed.note([true, false]), None);
        assert_eq!(missed.note([true, false]), None);
        assert_eq!(missed.note([true, false]), Some(Side::Service));
    }

    #[test]
    fn the_limit_is_what_the_looks_take() {
        let looks = MOST_MISSED * transport::CONNECT_TIMEOUT + (MOST_MISSED - 1) * PAUSE;
        assert_eq!(FIRST_LOOK + looks, LIMIT);
    }
}
