//! What stands in front of upstreams.

use super::entry::{Explanation, explain};
use crate::finding::id::FindingId as Id;

pub(super) const EXPLANATIONS: &[Explanation] = &[
    explain(
        Id::GuardAvoided,
        "a guarded path is reached by another route, too",
        "What a route demands of its requests is demanded there alone. Where another route leads to the same path of the same upstream, or what no route matches goes there, the same is answered without a token, a key, or an address that is asked for.",
        "Demand the same of the other route, or under `gateway.policies` of all; have what no route matches answered 404: `gateway: { unmatched: 404 }`.",
        "docs/gateway.md",
    ),
    explain(
        Id::UnusableFile,
        "a file that the gateway needs cannot be used",
        "A certificate, its key or the access log cannot be read or made, or a key is not that of its certificate. `banyan serve` does not start with such a plan, nor does a reload take it.",
        "Name files that are there, that fit each other, and that the user that `banyan serve` runs as may read, or for the log write.",
        "docs/gateway.md",
    ),
    explain(
        Id::UnusableBuffers,
        "no request's body can be kept",
        "A body that comes without a length is read to its end before it is sent, beyond 1 MiB into a file. Where no file can be made in `gateway.buffering.directory`, such a request is answered 507.",
        "Make the directory, and let the user that `banyan serve` runs as write there, or name another one.",
        "docs/gateway.md",
    ),
    explain(
        Id::RouteWithoutRequests,
        "a route never gets a request",
        "Two routes match the same requests. The first of them takes all: those of extractions come before those of `gateway.routes`, and of those the one that stands first.",
        "Take one of them away, or have them differ in path, host, methods, headers or operations. `banyan routes` shows the order.",
        "docs/gateway.md",
    ),
    explain(
        Id::GroupsOfNobody,
        "groups are demanded of requests that name nobody",
        "`groups` asks whether a consumer is in one of them; who that is, only `keys` or `jwt` finds out. Without either, each request is answered 403.",
        "Demand `keys` or `jwt` there, too, or under `gateway.policies` of all.",
        "docs/gateway.md",
    ),
    explain(
        Id::StopCutsOff,
        "a stop cuts off what the plan waits for",
        "A stop, or a successor that takes over, lets requests under way end for as long as `gateway.grace`. One that waits for its answer longer than that is cut off, though its route allows it.",
        "Raise `gateway.grace`, and what waits for the process to end with it, or lower the route's `first-byte`.",
        "docs/gateway.md",
    ),
    explain(
        Id::GateCannotWork,
        "a gate of the steps cannot be measured",
        "A gate under `rollout` asks Prometheus, which does not answer its query or has no value for it (a wrong name of a metric has none, either), asks a webhook that nobody listens for, or runs a command that is not there. What is not measured is no pass: the step would go on waiting. It was looked from where `banyan check` runs, and `banyan serve` may run elsewhere. Webhooks are not asked: a question may have effects.",
        "Correct the gate's `server`, `query`, `url` or `run`, or start what it asks. `banyan why NAME` shows what a gate finds while the step lasts.",
        "docs/rollout.md",
    ),
    explain(
        Id::QuietIsShort,
        "the old side need be unused for a short time only",
        "`retire` takes an old side for unused once nobody has reached its routes or its tables for `quiet`. What runs by night, at a week's or at a month's end does not show in a shorter time, and fails once the tables are gone.",
        "Write how long it takes until every job has run once: `retire: { quiet: 14d }` is the default.",
        "docs/retire.md",
    ),
    explain(
        Id::GateOutlastsStep,
        "a step lasts longer than the plan says",
        "A gate must hold for its `for`, and a query to Prometheus is asked only once the step is older than `max-age`, so that it finds nothing of before. Where that is longer than the step's own `for`, the step goes on until then.",
        "Raise the step's `for` to what it takes, or lower the gate's `for` or `max-age`.",
        "docs/rollout.md",
    ),
    explain(
        Id::ItemCannotBeChecked,
        "an item of a checklist cannot be checked",
        "`alerts` asks the Prometheus of `checklists.prometheus`, and `backup` makes a database beside `checklists.scratch` to restore into. Where that does not work, the item fails, and steps that wait for it do not begin. It was looked from where `banyan check` runs.",
        "Correct the address, start what listens there, or let the role make databases: `alter role NAME createdb`. Without the setting the item is skipped, and a person attests it.",
        "docs/checklists.md",
    ),
];
