//! Discovery: looks the instances of another service up in the registry,
//! again and again.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Client;
use super::error::ClientError;
use super::instance::Instance;
use super::target::{Instances, Source, jittered};
use crate::settings::{Origin, Setting};

/// The registry's path for services.
pub(crate) const SERVICES: &str = "/registry/services";

/// How often others are looked up.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// The longest pause after failures; the first are shorter.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Instances of one service that are used; more are left to others.
const INSTANCES_MAX: usize = 256;

/// An instance in the registry, as far as it matters to callers.
#[derive(Debug, Deserialize)]
struct RegistryInstance {
    url: String,
}

/// The pause before another attempt after so many failures.
pub(crate) fn pause(failures: u32) -> Duration {
    jittered(failures).min(PAUSE_MAX)
}

/// Looks up until the source is dropped.
pub(crate) fn discover(registry: Client, name: String) -> Source {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = keep_looking_up(&registry, &name, &sender) => {}
        }
    });
    Source::Discovered(receiver)
}

async fn keep_looking_up(registry: &Client, name: &str, known: &watch::Sender<Option<Instances>>) {
    let mut failures = 0_u32;
    loop {
        match look_up(registry, name).await {
            Ok(urls) => {
                if failures > 0 {
                    info!(service = name, "the registry is back");
                }
                failures = 0;
                known.send_if_modified(|known| renew(known, urls));
                sleep(LOOKUP_INTERVAL).await;
            }
            Err(error) => {
                if failures == 0 {
                    // What was found before is used meanwhile.
                    let error = &error as &dyn std::error::Error;
                    warn!(service = name, error, "the registry cannot be asked");
                }
                failures = failures.saturating_add(1);
                sleep(pause(failures)).await;
            }
        }
    }
}

async fn look_up(registry: &Client, name: &str) -> Result<Vec<String>, ClientError> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("name", name)
        .finish();
    let answer = registry.get(format!("{SERVICES}?{query}")).send().await?;
    let found: Vec<RegistryInstance> = answer.successful()?.json()?;
    // What is no URL cannot be connected to.
    let urls = found.iter().filter_map(|one| Origin::parse(&one.url));
    let urls = urls.take(INSTANCES_MAX);
    Ok(urls.map(|url| url.as_str().to_owned()).collect())
}

/// Takes what was found, and keeps what is known of those that were there.
fn renew(known: &mut Option<Instances>, mut urls: Vec<String>) -> bool {
    urls.sort_unstable();
    urls.dedup();
    let before: &[Arc<Instance>] = known.as_deref().unwrap_or_default();
    let same = known.is_some() && before.iter().map(|one| &one.url).eq(&urls);
    if same {
        return false;
    }
    let instance = |url: String| {
        let there = before.iter().find(|one| one.url == url);
        there.map_or_else(|| Arc::new(Instance::new(url)), Arc::clone)
    };
    let renewed: Vec<_> = urls.into_iter().map(instance).collect();
    *known = Some(renewed.into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_an_instance_outlives_a_look() {
        let urls = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut known = None;
        assert!(renew(&mut known, urls(&["b", "a", "a"])));
        let first = known.clone().unwrap();
        assert_eq!(first.len(), 2);
        assert!(!renew(&mut known, urls(&["a", "b"])));
        assert!(renew(&mut known, urls(&["c", "b"])));
        let second = known.unwrap();
        assert!(Arc::ptr_eq(&first[1], &second[0]));
        let mut known = None;
        assert!(renew(&mut known, Vec::new()), "nobody is an answer, too");
    }
}
