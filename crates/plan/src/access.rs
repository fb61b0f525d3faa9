//! Whom the gateway knows, and how it tells the upstreams.

mod consumers;
mod environment_keys;
mod identity;
mod key_set;
mod limits_store;

pub use consumers::{Consumer, JwtAlgorithm, JwtCredential};
pub use environment_keys::{CLIENTS, OPERATORS};
pub use identity::IdentityHeader;
pub use key_set::{Jwks, JwksSource};
pub use limits_store::LimitsStore;

pub(crate) use consumers::{ConsumerFile, consumer_name, keys_once};
pub(crate) use identity::IdentityFile;
pub(crate) use key_set::JwksFile;
pub(crate) use limits_store::LimitsStoreFile;

use crate::{
    base::{Environment, FileLoader, KeyPath, Located, PlanError, Text, address_block, parse},
    policy::{self, Policies, PoliciesFile},
};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// The keys of `gateway:` that are about access.
pub(crate) struct AccessFile {
    pub(crate) trusted: Vec<Text>,
    pub(crate) consumers: BTreeMap<String, Located<ConsumerFile>>,
    pub(crate) jwks: Option<Located<JwksFile>>,
    pub(crate) identity: Option<IdentityFile>,
    pub(crate) limits_store: Option<LimitsStoreFile>,
    pub(crate) policies: Option<PoliciesFile>,
}

/// Whom the gateway knows, what it demands of all, and where it counts.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Address blocks of proxies whose word on their clients counts.
    pub trusted: Vec<IpNet>,
    /// Known clients, by name.
    pub consumers: BTreeMap<String, Consumer>,
    /// Keys of an issuer that rotates them.
    pub jwks: Option<Jwks>,
    /// The header that tells upstreams who asks.
    pub identity: Option<IdentityHeader>,
    /// The counters that gateways share.
    pub limits_store: Option<LimitsStore>,
    /// What is demanded of all requests.
    pub policies: Policies,
    /// Whether the gateway's own pages want the key of an operator.
    pub operators_only: bool,
}

pub(crate) fn resolve(
    file: AccessFile,
    environment: Environment<'_>,
    files: &FileLoader<'_>,
) -> Result<Access, PlanError> {
    let mut consumers = BTreeMap::new();
    for (name, located) in file.consumers {
        let name = consumers::consumer_name(&name).map_err(|why| PlanError::at(located.at, why))?;
        let found = consumers::resolve(located.value, environment, files)?;
        consumers.insert(name, found);
    }
    let mut all = match file.policies {
        Some(file) => policy::resolve(file, "gateway", environment)?,
        None => Policies::default(),
    };
    let operators_only = environment_keys::add(environment, &mut consumers, &mut all)?;
    consumers::keys_once(&consumers)
        .map_err(|error| error.under(KeyPath::top("gateway").key("consumers")))?;
    let block = |text: &Text| parse(text, environment, address_block);
    Ok(Access {
        trusted: file.trusted.iter().map(block).collect::<Result<_, _>>()?,
        consumers,
        jwks: file
            .jwks
            .map(|file| key_set::resolve(&file, environment, files))
            .transpose()?,
        identity: file
            .identity
            .map(|file| identity::resolve(&file, environment))
            .transpose()?,
        limits_store: file
            .limits_store
            .map(|file| limits_store::resolve(&file, environment))
            .transpose()?,
        policies: all,
        operators_only,
    })
}
