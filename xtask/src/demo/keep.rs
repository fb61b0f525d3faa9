//! What is left running, and how to go on with it: on the error output, beside the report.

use testbed::banyan::{CommandLine, Plan, Serve};
use testbed::scene::Scene;

/// What runs.
pub(super) struct Running<'a> {
    pub serve: &'a Serve,
    pub banyan: &'a CommandLine,
    pub plan: &'a Plan,
    pub scene: &'a Scene,
}

impl Running<'_> {
    /// Says how to go on, and lets it run until the caller is dropped.
    pub async fn until_dropped(&self) {
        self.show();
        std::future::pending::<()>().await;
    }

    fn show(&self) {
        let Self {
            serve,
            banyan,
            plan,
            scene,
        } = self;
        eprintln!("\nEverything is still running; Ctrl-C stops it.\n");
        eprintln!("  gateway   {}/api/contracts", serve.gateway());
        eprintln!("  metrics   {}/metrics", serve.control());
        eprintln!("  monolith  {}/api/contracts", scene.web.url());
        eprintln!("  service   {}/api/contracts\n", scene.service.url());
        eprintln!("In another terminal:\n");
        for (name, value) in plan.environment() {
            eprintln!("  export {name}='{value}'");
        }
        let (file, state) = (banyan.plan().display(), banyan.state().display());
        eprintln!(
            "  banyan() {{ {} \"$@\" --plan {file} --state {state}; }}",
            banyan.binary().display()
        );
        eprintln!("\n  curl -s {}/api/contracts?page_size=1", serve.gateway());
        for verb in [
            "status",
            "console",
            "verify contracts",
            "rollback contracts",
        ] {
            eprintln!("  banyan {verb}");
        }
    }
}
