//! SIGKILL after the opening of the target: completed, the service owns.

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_opening() -> anyhow::Result<()> {
    crate::failpoint::dies_and_settles("after-opening", "switched", "service").await
}
