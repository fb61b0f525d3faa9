//! Where the parts of the set listen: by the seed's numbers, or by others.

use super::members::MEMBERS;
use crate::ports;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};

/// The parts with a fixed place beside the services.
const OTHERS: [(&str, u16); 3] = [("gateway", 8000), ("control", 7600), ("prometheus", 9090)];

/// A port for each part that others call by its place.
#[derive(Debug, Clone)]
pub struct Ports(BTreeMap<&'static str, u16>);

impl Ports {
    /// The seed's.
    pub fn seed() -> Self {
        let members = MEMBERS.iter().map(|member| (member.name, member.port));
        Self(OTHERS.into_iter().chain(members).collect())
    }

    /// Free ones.
    pub fn free() -> Result<Self> {
        let mut all = Self::seed();
        for port in all.0.values_mut() {
            *port = ports::free()?;
        }
        Ok(all)
    }

    /// Another one for a part.
    pub fn set(&mut self, name: &str, port: u16) -> Result<()> {
        let Some(place) = self.0.get_mut(name) else {
            let known: Vec<&str> = self.0.keys().copied().collect();
            bail!("the set has no part `{name}`; it has {}", known.join(", "));
        };
        *place = port;
        Ok(())
    }

    /// The port of a part; 0 of none.
    pub fn of(&self, part: &str) -> u16 {
        self.0.get(part).copied().unwrap_or(0)
    }

    /// The address of a part.
    pub fn url(&self, part: &str) -> String {
        format!("http://127.0.0.1:{}", self.of(part))
    }

    /// An error that names every port that is taken.
    pub fn ensure_free(&self) -> Result<()> {
        let mut taken = String::new();
        for (part, port) in &self.0 {
            if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)) {
                // Writing into a string does not fail.
                let _ = write!(
                    taken,
                    "\n  {port} ({error}): choose another one by --port {part}=PORT"
                );
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        bail!("these ports cannot be had; --free-ports chooses free ones for all:{taken}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_setting_that_changes_it() {
        let mut ports = Ports::free().unwrap();
        ports.ensure_free().unwrap();
        let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = somebody.local_addr().unwrap().port();
        ports.set("auth", port).unwrap();
        let error = ports.ensure_free().unwrap_err().to_string();
        assert!(error.contains(&format!("{port} (")), "{error}");
        assert!(error.contains("--port auth=PORT"), "{error}");
        assert_eq!(error.lines().count(), 2, "{error}");
        assert!(ports.set("auht", 1).is_err());
    }
}
