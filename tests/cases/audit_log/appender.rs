//! Somebody who only adds rows to the log, all the time.

use anyhow::{Result, ensure};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};
use testbed::deadline;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const PAUSE: Duration = Duration::from_millis(20);

const LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Appender {
    written: Arc<AtomicI64>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

impl Appender {
    pub fn start(client: Client, schema: &str, name: &str) -> Self {
        let written = Arc::new(AtomicI64::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let insert =
            format!("INSERT INTO {schema}.audit_log (what, reference) VALUES ('elsewhere', $1)");
        let name = name.to_owned();
        let (counter, stop) = (Arc::clone(&written), Arc::clone(&stopping));
        let task = tokio::spawn(async move {
            client
                .batch_execute("SET application_name = 'some-other-job'")
                .await?;
            while !stop.load(Ordering::Relaxed) {
                let number = counter.load(Ordering::Relaxed);
                client
                    .execute(&insert, &[&format!("{name}-{number}")])
                    .await?;
                counter.store(number + 1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        });
        Self {
            written,
            stopping,
            task,
        }
    }

    /// Waits for some more rows.
    pub async fn goes_on(&self) -> Result<()> {
        let goal = self.written.load(Ordering::Relaxed) + 10;
        deadline::poll("more rows", LIMIT, || {
            Ok((self.written.load(Ordering::Relaxed) >= goal).then_some(()))
        })
        .await
    }

    /// How many rows it has added; none was refused.
    pub async fn stop(self) -> Result<i64> {
        self.stopping.store(true, Ordering::Relaxed);
        self.task.await??;
        let written = self.written.load(Ordering::Relaxed);
        ensure!(written > 20, "only {written} rows");
        Ok(written)
    }
}
