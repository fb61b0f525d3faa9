//! A gateway without a conductor, to measure: one worker, requests below
//! `/api` belong to an extraction whose reads go to the service for 80 % of the
//! clients.
//!
//! `proxy LISTEN MONOLITH SERVICE [LINES]`, the first three `address:port`; the
//! lines are more of the plan's `gateway` section, indented by two. At SIGHUP the
//! plan is reloaded.

use gateway::{Gateway, Positions, Sample};
use mimalloc::MiMalloc;
use plan::{ExtractionName, Percent, Plan};
use protocol::{
    Epoch, Lsn, Side,
    routing::{ExtractionRouting, Routing, Writes},
};
use std::{
    collections::BTreeMap,
    error::Error,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// That of `banyan`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// All is applied at once.
struct Nowhere;

impl Positions for Nowhere {
    fn sample(&self, _: &ExtractionName, _: Side) -> Sample {
        Box::pin(async { Some(Lsn(0)) })
    }

    fn applied(&self, _: &ExtractionName, _: Side) -> watch::Receiver<Lsn> {
        watch::Sender::new(Lsn(0)).subscribe()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, monolith, service, lines) = match &arguments[..] {
        [listen, monolith, service] => (listen, monolith, service, ""),
        [listen, monolith, service, lines] => (listen, monolith, service, lines.as_str()),
        _ => return Err("usage: proxy LISTEN MONOLITH SERVICE [LINES]".into()),
    };
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  items: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "{listen}"
  workers: 1
{lines}
extractions:
  items:
    service: items
    routes: [{{ path: /api/* }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
    );
    let plan = Plan::parse(&text, |_| None)?;
    let gateway = Gateway::start(&plan, Arc::new(Nowhere))?;
    let reads = Percent::from_basis_points(8_000)?;
    let routing = ExtractionRouting {
        instance: None,
        epoch: Epoch(1),
        writes: Writes::To(Side::Monolith),
        reads,
        follows: true,
    };
    let extractions = BTreeMap::from([(ExtractionName::new("items")?, routing)]);
    gateway.publish(&Routing { extractions });
    let renewed = gateway.clone();
    thread::spawn(move || {
        loop {
            renewed.renew_lease(Instant::now() + Duration::from_mins(1));
            thread::sleep(Duration::from_secs(10));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut hangups = signal(SignalKind::hangup())?;
        while hangups.recv().await.is_some() {
            gateway.reload(&plan).await?;
        }
        Ok(())
    })
}
