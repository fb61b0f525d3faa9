//! Waiting for a condition, with a deadline.

use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at. Short against everything that is waited
/// for here, long enough to cost nothing on a machine with two cores.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks `condition` until it gives a value; `what` names it in the error.
///
/// An error of the condition ends the wait at once: it is for what cannot get
/// better. What may still come is `Ok(None)`.
pub async fn until<T, F>(what: &str, limit: Duration, mut condition: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition()
            .await
            .with_context(|| format!("waiting for {what}"))?
        {
            return Ok(value);
        }
        if started.elapsed() >= limit {
            bail!(
                "gave up waiting for {what} after {:.1} s",
                limit.as_secs_f64()
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The same for a condition that takes no time to look at.
pub async fn poll<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().with_context(|| format!("waiting for {what}"))? {
            return Ok(value);
        }
        if started.elapsed() >= limit {
            bail!(
                "gave up waiting for {what} after {:.1} s",
                limit.as_secs_f64()
            );
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_never_holds_ends_at_the_deadline_and_is_named() {
        let limit = Duration::from_millis(50);
        let error = until::<(), _>("the sea to dry up", limit, async || Ok(None)).await;
        assert!(error.unwrap_err().to_string().contains("the sea to dry up"));
    }

    #[tokio::test]
    async fn an_error_ends_the_wait_at_once() {
        let started = Instant::now();
        let limit = Duration::from_mins(1);
        let result = until::<(), _>("x", limit, async || bail!("dead")).await;
        assert!(result.is_err());
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
