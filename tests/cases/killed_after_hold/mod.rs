//! SIGKILL once all gateways hold: nothing has happened, the monolith goes on.

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_hold() -> anyhow::Result<()> {
    crate::failpoint::dies_and_settles("after-hold", "following", "monolith").await
}
