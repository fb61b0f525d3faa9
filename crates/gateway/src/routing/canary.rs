//! A share of a route's requests goes elsewhere, as Kong's plugin canary does
//! it.
//!
//! No data is moved and nobody owns anything: writes go along with reads, and
//! it is for upstreams that share their data, such as two versions of one
//! service. What is to be moved with its data is an extraction.

use crate::base::{cohort::Bucket, index::PassthroughIndex};
use http::{HeaderMap, HeaderName, HeaderValue};
use plan::{CanaryKey, CanaryShare, Destination, Percent};
use std::time::SystemTime;

/// Which of a route's requests another one gets.
#[derive(Debug)]
pub(crate) struct Canary {
    /// The one that gets them.
    pub(crate) to: PassthroughIndex,
    share: CanaryShare,
    by: By,
    /// By which clients choose themselves.
    header: Option<HeaderName>,
    /// Of the route's upstream: so a client is on one side on all of its routes.
    salt: String,
}

#[derive(Debug)]
enum By {
    Consumer,
    Address,
    Header(HeaderName),
    Random,
}

impl Canary {
    /// From the plan, which has checked the names.
    pub(crate) fn new(canary: &plan::Canary, from: &Destination, to: PassthroughIndex) -> Self {
        Self {
            to,
            share: canary.share,
            by: match &canary.by {
                CanaryKey::Consumer => By::Consumer,
                CanaryKey::Address => By::Address,
                CanaryKey::Header(name) => name.parse().map_or(By::Address, By::Header),
                CanaryKey::Random => By::Random,
            },
            header: canary.header.as_ref().and_then(|name| name.parse().ok()),
            salt: from.to_string(),
        }
    }

    /// The share at this moment.
    pub(crate) fn share(&self) -> Percent {
        match self.share {
            CanaryShare::Fixed(share) => share,
            rising @ CanaryShare::Rising { .. } => rising.at(SystemTime::now()),
        }
    }

    /// What a client says itself.
    fn chosen(&self, headers: &HeaderMap) -> Option<bool> {
        match headers.get(self.header.as_ref()?)?.as_bytes() {
            b"always" => Some(true),
            b"never" => Some(false),
            _ => None,
        }
    }

    /// The client's place. Without what it should be known by, it is known by
    /// its address, as with Kong.
    fn bucket(&self, client: &CanaryClient<'_>) -> Bucket {
        let key = match &self.by {
            By::Random => return Bucket::random((client.random)()),
            By::Address => None,
            By::Consumer => client.consumer.map(str::as_bytes),
            By::Header(name) => client.headers.get(name).map(HeaderValue::as_bytes),
        };
        match key {
            Some(key) => Bucket::within(&self.salt, key),
            None => Bucket::within(&self.salt, (client.address)().as_bytes()),
        }
    }

    pub(crate) fn picks(&self, client: &CanaryClient<'_>) -> bool {
        self.chosen(client.headers)
            .unwrap_or_else(|| self.bucket(client).is_covered_by(self.share()))
    }
}

/// What is known of a request's client.
pub(crate) struct CanaryClient<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) consumer: Option<&'a str>,
    pub(crate) address: &'a dyn Fn() -> String,
    pub(crate) random: &'a dyn Fn() -> u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::random::Random, routing::table::Table};
    use plan::{FileLoader, ParseContext, Plan};
    use std::path::Path;

    const PLAN: &str = r#"monolith: { url: "http://127.0.0.1:1" }
services: {}
gateway: { listen: "127.0.0.1:0", kong: kong.yml }
extractions: {}
"#;

    /// The first route's canary with this `config`.
    fn canary(config: &str) -> Canary {
        let kong = format!(
            "_format_version: \"3.0\"\n\
             services: [{{ name: api, url: \"http://127.0.0.1:2\", \
             routes: [{{ name: r, paths: [/] }}], \
             plugins: [{{ name: canary, config: {{ upstream_port: 3, {config} }} }}] }}]\n"
        );
        let read = move |_: &Path| Ok(kong.clone());
        let context = ParseContext {
            files: FileLoader::new("", &read),
            ..ParseContext::new(&|_| None)
        };
        let plan = Plan::parse_with(PLAN, &context).unwrap();
        let mut table = Table::new(&plan);
        table.take_canary().unwrap()
    }

    fn picked(canary: &Canary, consumer: Option<&str>, headers: &[(&str, &str)]) -> usize {
        let random = Random::seeded(1);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.insert(name, value.parse().unwrap());
        }
        let picks = |number: &usize| {
            canary.picks(&CanaryClient {
                headers: &map,
                consumer,
                address: &|| format!("10.0.0.{number}"),
                random: &|| random.next(),
            })
        };
        (0..250).filter(picks).count()
    }

    #[test]
    fn clients_are_told_apart_by_what_the_plugin_says() {
        let all = |count| count == 0 || count == 250;
        let some = |count| (90..160).contains(&count);
        let by_consumer = canary("percentage: 50");
        assert!(all(picked(&by_consumer, Some("shop"), &[])));
        // Nobody is known: by address.
        assert!(some(picked(&by_consumer, None, &[])));
        let by_address = canary("percentage: 50, hash: ip");
        assert!(some(picked(&by_address, Some("shop"), &[])));
        let by_header = canary("percentage: 50, hash: header, hash_header: X-User");
        assert!(all(picked(&by_header, None, &[("x-user", "1")])));
        assert!(some(picked(&by_header, None, &[])));
        let by_chance = canary("percentage: 50, hash: none");
        assert!(some(picked(&by_chance, Some("shop"), &[])));
    }

    #[test]
    fn a_client_may_choose_where_the_plugin_names_a_header() {
        let none = canary("percentage: 0, canary_by_header_name: X-Canary");
        assert_eq!(picked(&none, None, &[("x-canary", "always")]), 250);
        assert_eq!(picked(&none, None, &[("x-canary", "perhaps")]), 0);
        let all = canary("percentage: 100, canary_by_header_name: X-Canary");
        assert_eq!(picked(&all, None, &[("x-canary", "never")]), 0);
        assert_eq!(picked(&all, None, &[]), 250);
    }

    #[test]
    fn a_rising_share_is_that_of_the_moment() {
        assert_eq!(picked(&canary("start: 1, duration: 1"), None, &[]), 250);
        let never = canary("start: 9223372036854775807, duration: 1");
        assert_eq!(picked(&never, None, &[]), 0);
    }
}
