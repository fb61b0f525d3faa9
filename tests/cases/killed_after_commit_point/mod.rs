//! SIGKILL after the commit point: completed, the service owns.

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_commit_point() -> anyhow::Result<()> {
    crate::failpoint::dies_and_settles("after-commit-point", "switched", "service").await
}
