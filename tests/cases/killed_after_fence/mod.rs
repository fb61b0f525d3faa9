//! SIGKILL after the fence: undone, the monolith goes on.

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_fence() -> anyhow::Result<()> {
    crate::failpoint::dies_and_settles("after-fence", "following", "monolith").await
}
