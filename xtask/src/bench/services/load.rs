//! Clients that ask one thing after another: a closed loop, which finds what a
//! service takes. Its latencies are those of a service that is busy.

use super::{super::machine, super::open_loop::Latency, running_service::RunningService};
use anyhow::{Context, Result, bail};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use testbed::http_client::{Call, Connection};
use tokio::task::JoinSet;

/// What comes first is not counted: connections are made, caches are filled.
const WARM_UP: Duration = Duration::from_secs(1);
/// Clients of what a service does many of at once.
const CLIENTS: u32 = 16;
/// An answer that takes longer ends the bench.
const LIMIT: Duration = Duration::from_secs(30);

/// Something that a service is asked for again and again.
pub(super) struct Workload {
    what: &'static str,
    clients: u32,
    items: u32,
    status: u16,
    leads_to_mails: bool,
    call: Box<dyn Fn(u64) -> Call + Send + Sync>,
}

impl Workload {
    /// The call of each number; numbers never come twice.
    pub(super) fn new(
        what: &'static str,
        call: impl Fn(u64) -> Call + Send + Sync + 'static,
    ) -> Self {
        Self {
            what,
            clients: CLIENTS,
            items: 1,
            status: 200,
            leads_to_mails: false,
            call: Box::new(call),
        }
    }

    /// The same call each time.
    pub(super) fn again(what: &'static str, call: Call) -> Self {
        Self::new(what, move |_| call.clone())
    }

    /// Clients at once, each with one request under way.
    pub(super) fn clients(self, clients: u32) -> Self {
        Self { clients, ..self }
    }

    /// What one request counts as: it may carry many rows.
    pub(super) fn items(self, items: u32) -> Self {
        Self { items, ..self }
    }

    /// The status of a good answer.
    pub(super) fn answered(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Each number leads to a mail.
    pub(super) fn mails(self) -> Self {
        Self {
            leads_to_mails: true,
            ..self
        }
    }

    /// What, in words.
    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    /// Whether each number leads to a mail.
    pub(super) fn leads_to_mails(&self) -> bool {
        self.leads_to_mails
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) what: &'static str,
    pub(super) clients: u32,
    pub(super) per_second: f64,
    /// The service's own processor time for one.
    pub(super) cpu_micros: f64,
    /// Of requests; none where what is counted is not a request.
    pub(super) latency: Option<Latency>,
}

/// Lets the clients ask for so long; also how often they asked in all. An
/// answer that is not good ends it.
pub(super) async fn run(
    service: &RunningService,
    workload: &Arc<Workload>,
    time: Duration,
) -> Result<(Figures, u64)> {
    let number = Arc::new(AtomicU64::new(0));
    ask(service, workload, &number, WARM_UP).await?;
    let (before, begun) = (machine::processor_micros(service.pid)?, Instant::now());
    let latencies = ask(service, workload, &number, time).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let used = machine::processor_micros(service.pid)? - before;
    let items = f64::from(u32::try_from(latencies.len())?) * f64::from(workload.items);
    let figures = Figures {
        what: workload.what,
        clients: workload.clients,
        per_second: items / seconds,
        cpu_micros: used / items,
        latency: Some(Latency::of(latencies).context("nothing was answered")?),
    };
    Ok((figures, number.load(Ordering::Relaxed)))
}

async fn ask(
    service: &RunningService,
    workload: &Arc<Workload>,
    number: &Arc<AtomicU64>,
    time: Duration,
) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..workload.clients {
        let connection = Connection::new(&service.url)?;
        clients.spawn(ask_until(end, connection, workload.clone(), number.clone()));
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    Ok(latencies)
}

async fn ask_until(
    end: Instant,
    mut connection: Connection,
    workload: Arc<Workload>,
    number: Arc<AtomicU64>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let call = (workload.call)(number.fetch_add(1, Ordering::Relaxed));
        let asked = Instant::now();
        let answer = connection.send(&call, LIMIT).await;
        latencies.push(asked.elapsed());
        let answer = answer.with_context(|| call.line())?;
        if answer.status != workload.status {
            bail!(
                "{}: {} in the place of {}: {}",
                call.line(),
                answer.status,
                workload.status,
                answer.body_head()
            );
        }
    }
    Ok(latencies)
}
