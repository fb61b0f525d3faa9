//! Latency at a fixed rate, below what anybody is stretched by.
//!
//! The loop is open: when a request is due is settled beforehand and does not
//! depend on earlier answers, and its latency counts from when it was *due*. A
//! client that waits for an answer before it counts the next request would not
//! see the requests that a stall kept from being sent (coordinated omission).
//!
//! One blocking thread per connection rather than tasks: a runtime's timers
//! are precise to a millisecond, which is ten times what is measured; the
//! kernel's are to some 50 microseconds, which the direct and the proxied run
//! have in common.

use super::conversation::{Conversation, request};
use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// What comes first is not counted: connections to the backend are made.
const WARM_UP: Duration = Duration::from_millis(500);

/// When requests are due: evenly, one connection after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    per_second: u32,
    connections: u32,
    length: Duration,
}

impl Schedule {
    pub(super) fn new(per_second: u32, connections: u32, length: Duration) -> Self {
        Self {
            per_second,
            connections,
            length,
        }
    }

    /// When the requests of a connection are due, from the start on.
    fn due(self, connection: u32) -> impl Iterator<Item = (u32, Duration)> {
        let step = usize::try_from(self.connections).unwrap_or(usize::MAX);
        (connection..)
            .step_by(step)
            .map(move |number| {
                let seconds = f64::from(number) / f64::from(self.per_second);
                (number, Duration::from_secs_f64(seconds))
            })
            .take_while(move |(_, due)| *due < self.length)
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Latency {
    /// Of at least one request.
    pub(super) fn of(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            // The nearest rank: of 100, the 99th smallest is p99.
            let rank = (latencies.len() * percent).div_ceil(100).max(1);
            Some(latencies.get(rank - 1)?.as_secs_f64() * 1e3)
        };
        Some(Self {
            p50: percentile(50)?,
            p99: percentile(99)?,
        })
    }
}

/// Asks at the rate of the schedule.
pub(super) fn measure(schedule: Schedule, address: SocketAddr) -> Result<Latency> {
    let conversations = (0..schedule.connections)
        .map(|_| Conversation::new(address))
        .collect::<Result<Vec<_>>>()?;
    let latencies = run(schedule, conversations, WARM_UP)?;
    Latency::of(latencies).context("nothing was measured: the time is too short")
}

/// Goes through a schedule; the latencies of what is due after the warm-up.
fn run(
    schedule: Schedule,
    conversations: Vec<Conversation>,
    warm_up: Duration,
) -> Result<Vec<Duration>> {
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..)
            .zip(conversations)
            .map(|(connection, conversation)| {
                scope.spawn(move || converse(schedule, connection, conversation, start))
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            let measured = thread
                .join()
                .map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??;
            all.extend(measured);
        }
        all.retain(|(due, _)| *due >= warm_up);
        Ok(all.into_iter().map(|(_, latency)| latency).collect())
    })
}

/// One connection: when each request was due, and how long its answer took
/// from then on.
fn converse(
    schedule: Schedule,
    connection: u32,
    mut conversation: Conversation,
    start: Instant,
) -> Result<Vec<(Duration, Duration)>> {
    let mut latencies = Vec::new();
    for (number, due) in schedule.due(connection) {
        let request = request(number);
        // Late already: it is sent at once, and its time runs.
        thread::sleep(due.saturating_sub(start.elapsed()));
        conversation.exchange(&request)?;
        latencies.push((due, start.elapsed().saturating_sub(due)));
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        net::TcpListener,
    };

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_are_due_evenly_over_all_connections() {
        let schedule = Schedule::new(2_000, 64, SECOND);
        let mut due: Vec<_> = (0..64).flat_map(|c| schedule.due(c)).collect();
        due.sort_unstable();
        assert_eq!(due.len(), 2_000);
        for (place, (number, at)) in (0..).zip(due) {
            assert_eq!(number, place);
            assert_eq!(at, Duration::from_micros(u64::from(place) * 500));
        }
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |numbers: std::ops::RangeInclusive<u64>| {
            Latency::of(numbers.rev().map(Duration::from_millis).collect())
        };
        assert_eq!(
            of(1..=100),
            Some(Latency {
                p50: 50.0,
                p99: 99.0
            })
        );
        assert_eq!(of(7..=7), Some(Latency { p50: 7.0, p99: 7.0 }));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    /// Answers, the tenth request after a stall.
    fn stalling(listener: &TcpListener, stall: Duration) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut part = [0; 4096];
        for number in 1.. {
            if stream.read(&mut part).unwrap_or(0) == 0 {
                return;
            }
            if number == 10 {
                thread::sleep(stall);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Arm: 1\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
    }

    #[test]
    fn a_stall_counts_for_all_that_was_due_in_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stall = Duration::from_millis(400);
        let latencies = thread::scope(|scope| {
            scope.spawn(|| stalling(&listener, stall));
            let schedule = Schedule::new(100, 1, SECOND);
            let conversation = Conversation::new(address).unwrap();
            run(schedule, vec![conversation], Duration::ZERO).unwrap()
        });
        // 40 requests were due while the answer to the tenth was awaited, half
        // of them early enough to be late by half of the stall. A slow machine
        // makes it more, never fewer.
        let late = latencies.iter().filter(|l| **l >= stall / 2).count();
        assert_eq!(latencies.len(), 100);
        assert!(late >= 20, "{late} of 100 saw the stall");
    }
}
