//! Plans of a monolith and a service with one extraction between them.

use plan::Plan;
use std::net::SocketAddr;

/// What the tests change in a plan.
#[derive(Clone, Copy)]
pub struct Knobs {
    pub workers: usize,
    pub pin_wait: &'static str,
    pub first_byte: &'static str,
    pub upstream_idle: &'static str,
    pub stream: &'static str,
    pub hold: &'static str,
    pub held_requests: usize,
    pub held_bytes: &'static str,
    /// `gateway.client`.
    pub client: &'static str,
    /// Lines of the gateway's section.
    pub gateway: &'static str,
    /// Lines of the extraction's.
    pub extraction: &'static str,
    pub environment: fn(&str) -> Option<String>,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            workers: 2,
            pin_wait: "60s",
            first_byte: "60s",
            upstream_idle: "10s",
            stream: "20s",
            hold: "60s",
            held_requests: 100,
            held_bytes: "1MiB",
            client: "{}",
            gateway: "",
            extraction: "",
            environment: |_| None,
        }
    }
}

pub fn plan(knobs: Knobs, listen: &str, monolith: SocketAddr, service: SocketAddr) -> Plan {
    let Knobs {
        workers,
        pin_wait,
        first_byte,
        upstream_idle,
        stream,
        hold,
        held_requests,
        held_bytes,
        client,
        gateway,
        extraction,
        environment,
    } = knobs;
    let text = format!(
        r#"
monolith: {{ url: "http://{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "http://{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "{listen}"
  workers: {workers}
  pin-wait: {pin_wait}
  first-byte: {first_byte}
  upstream-idle: {upstream_idle}
  timeouts: {{ stream: {stream} }}
  client: {client}
{gateway}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
    switch: {{ hold: {hold}, drain: 1ms, held-requests: {held_requests}, held-bytes: {held_bytes} }}
{extraction}
"#
    );
    Plan::parse(&text, environment).unwrap()
}

/// A plan whose upstreams are written out: the inside of `monolith:`, of the
/// service and of `gateway:`, but for databases and addresses to listen on.
pub fn shaped(monolith: &str, service: &str, gateway: &str) -> Plan {
    let text = format!(
        r#"
monolith: {{ database: "postgres://u:p@127.0.0.1:1/m", {monolith} }}
services:
  contracts: {{ database: "postgres://u:p@127.0.0.1:1/s", {service} }}
gateway: {{ listen: "127.0.0.1:0", workers: 1, pin-wait: 20s, {gateway} }}
extractions:
  contracts:
    service: contracts
    routes: [{{ path: /api/contracts/* }}, {{ path: /api/contracts/once, as: reads-once }}]
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
    rollout: {{ key: {{ header: x-user-id }} }}
"#
    );
    Plan::parse(&text, |_| None).unwrap()
}

/// A plan with these lines in its gateway's section and in its extraction's,
/// which has nothing besides but its service and its data.
pub fn extracting(
    monolith: SocketAddr,
    service: SocketAddr,
    gateway: &str,
    extraction: &str,
) -> Plan {
    let [monolith, service] = [monolith, service].map(|address| format!("http://{address}"));
    let text = extracting_text(&monolith, &service, gateway, extraction);
    Plan::parse(&text, |_| None).unwrap()
}

/// The text of [`extracting`], of upstreams with these URLs.
pub fn extracting_text(monolith: &str, service: &str, gateway: &str, extraction: &str) -> String {
    format!(
        r#"
monolith: {{ url: "{monolith}", database: "postgres://u:p@127.0.0.1:1/m" }}
services:
  contracts: {{ url: "{service}", database: "postgres://u:p@127.0.0.1:1/s" }}
gateway:
  listen: "127.0.0.1:0"
  {gateway}
extractions:
  contracts:
    service: contracts
    {extraction}
    data: {{ mode: replicate, schema: s, tables: {{ public.t: {{}} }} }}
"#
    )
}
