//! A server all of whose processes die at one instant, as when its machine does.

use super::{Cluster, START_LIMIT};
use crate::deadline;
use crate::process::{Signal, send, send_all};
use anyhow::{Context, Result};
use std::fs;

impl Cluster {
    /// SIGKILL to the server and to each of its processes; returns when all are gone.
    /// [`Cluster::start`] brings it back, and removes the shared memory that is left
    /// behind.
    pub async fn crash(&self) -> Result<()> {
        let mut server = self.server.lock().await;
        let Some(mut server) = server.take() else {
            return Ok(());
        };
        let parent = server.pid();
        // One that stands still starts no other. Its children do not hear of its end
        // before their own: one that did could still commit.
        send(Signal::Pause, parent);
        let children = format!("/proc/{parent}/task/{parent}/children");
        let children = fs::read_to_string(&children).with_context(|| children.clone())?;
        let mut processes = vec![parent];
        for child in children.split_whitespace() {
            processes.push(child.parse()?);
        }
        send_all(Signal::Kill, &processes);
        server.wait(START_LIMIT).await?;
        deadline::poll("the server's processes to be gone", START_LIMIT, || {
            Ok(processes.iter().all(|pid| is_gone(*pid)).then_some(()))
        })
        .await
    }
}

/// One that nobody has waited for yet is gone as well.
fn is_gone(pid: u32) -> bool {
    // `PID (NAME) STATE ...`, and the name may be anything.
    let Ok(line) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    let state = line.rsplit(')').next().map(str::trim_start);
    state.is_none_or(|state| state.starts_with(['Z', 'X']))
}
