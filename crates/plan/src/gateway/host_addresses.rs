//! Host names whose addresses were said to the process.

use std::{collections::BTreeMap, net::IpAddr};

/// Host names that are looked up here before anybody is asked, for connecting
/// only: what an upstream sees as its name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostAddresses(BTreeMap<String, IpAddr>);

impl HostAddresses {
    /// Adds `NAME:ADDRESS`, such as `host.docker.internal:127.0.0.1`.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no NAME:ADDRESS, such as db.internal:10.0.0.7");
        let (name, address) = text.split_once(':').ok_or_else(wrong)?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse().map_err(|_| wrong())?;
        if name.is_empty() {
            return Err(wrong());
        }
        self.0.insert(name.to_ascii_lowercase(), address);
        Ok(())
    }

    /// Where a host is, if it was said.
    pub fn address(&self, host: &str) -> Option<IpAddr> {
        match self.0.get(host) {
            None if host.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.0.get(&host.to_ascii_lowercase()).copied()
            }
            found => found.copied(),
        }
    }
}
