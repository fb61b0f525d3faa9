//! Clients of the generated monolith, through the gateway.

use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use testbed::{
    deadline,
    http_client::{Call, Connection},
    random_schema::Acknowledged,
};
use tokio::task::JoinHandle;

/// Longer than any hold.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(25);

const LIMIT: Duration = Duration::from_mins(1);

/// What they saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub told: Acknowledged,
    pub requests: u64,
    /// Answers that no application gives.
    pub failed: Vec<String>,
}

/// Clients at work.
pub(super) struct Load {
    acknowledged: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<Seen>>>,
}

impl Load {
    pub fn start(gateway: &str, clients: u32) -> Self {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|number| {
                let gateway = gateway.to_owned();
                let (counter, stop) = (Arc::clone(&acknowledged), Arc::clone(&stopping));
                tokio::spawn(async move { client(&gateway, number, &counter, &stop).await })
            })
            .collect();
        Self {
            acknowledged,
            stopping,
            clients,
        }
    }

    /// Waits until so many more writes were acknowledged.
    pub async fn acknowledges(&self, more: u64) -> Result<()> {
        let goal = self.acknowledged.load(Ordering::Relaxed) + more;
        deadline::poll(&format!("{more} more writes"), LIMIT, || {
            let now = self.acknowledged.load(Ordering::Relaxed);
            Ok((now >= goal).then_some(()))
        })
        .await
    }

    pub async fn stop(self) -> Result<Seen> {
        self.stopping.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.await.context("a client")??;
            all.requests += seen.requests;
            all.failed.extend(seen.failed);
            all.told.acknowledged.extend(seen.told.acknowledged);
            all.told.refused.extend(seen.told.refused);
        }
        Ok(all)
    }
}

async fn client(
    gateway: &str,
    number: u32,
    acknowledged: &AtomicU64,
    stopping: &AtomicBool,
) -> Result<Seen> {
    let mut seen = Seen {
        told: Acknowledged {
            acknowledged: BTreeSet::new(),
            ..Acknowledged::default()
        },
        ..Seen::default()
    };
    let mut connection = Connection::new(gateway)?;
    while !stopping.load(Ordering::Relaxed) {
        seen.requests += 1;
        let call = match seen.requests % 5 {
            0 => Call::get("/moved"),
            1 => Call::post_nothing("/staying"),
            _ => Call::post_nothing("/moved"),
        };
        let call = call.by(Some(number));
        match connection.send(&call, TIMEOUT).await {
            Ok(answer) => match answer.status.as_u16() {
                200 => {}
                201 => {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                    seen.told.acknowledged.insert(text(&answer.body));
                }
                409 => {
                    seen.told.refused.insert(text(&answer.body));
                }
                status => seen.failed.push(format!("{status} {}", text(&answer.body))),
            },
            Err(error) => seen.failed.push(error.to_string()),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seen)
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
