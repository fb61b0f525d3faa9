//! hyper's tasks on the worker's own thread.

use hyper::rt::Executor;
use tokio::task::spawn_local;

/// Runs h2's futures on the thread of their connection.
#[derive(Clone, Copy)]
pub(crate) struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
