//! Refuses names that were given up for the field's terms: one word for one
//! thing.

use crate::{
    module_tree::{ModuleTree, planted},
    workspace,
};
use Kind::{Module, Type};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Module,
    Type,
}

/// The crate (`*` for all), the kind, the name that was given up and the term
/// to use. A name may carry the modules it is in: `upstream::guard`.
type Retired = (&'static str, Kind, &'static str, &'static str);

const RETIRED: &[Retired] = &[
    ("*", Module, "carrier", "token_transport"),
    ("*", Module, "stay", "passthrough"),
    ("*", Module, "settle", "lsn_sampler, or recheck of rows"),
    ("*", Module, "hygiene", "sanitize"),
    ("*", Module, "standing", "instance_health, or routing state"),
    ("*", Module, "passage", "operation routing"),
    ("*", Module, "patience", "body_timeout, or lock_retry"),
    ("*", Module, "guard", "http1_guard, shared_breaker, or auth"),
    ("*", Module, "elsewhere", "remote_progress"),
    ("*", Module, "borders", "foreign keys across the boundary"),
    ("*", Module, "lane", "worker of a copy"),
    ("*", Module, "word", "scalar_or_map"),
    ("*", Module, "included", "file_loader"),
    ("*", Module, "shared", "shared_data, or state"),
    ("*", Module, "setup", "config"),
    ("*", Type, "Asked", "by what is asked: Query, ..."),
    ("*", Type, "Desk", "AccessState"),
    ("*", Type, "Doors", "Acceptors"),
    (
        "*",
        Type,
        "Found",
        "by what was found: ObservedOwnership, ...",
    ),
    ("*", Type, "Gone", "DeletedKeys"),
    ("*", Type, "Keeper", "Refresher"),
    ("*", Type, "Misfit", "ApplyConflict"),
    ("*", Type, "OrWord", "ScalarOrMap"),
    ("*", Type, "Passage", "Permit of a breaker"),
    ("*", Type, "Patience", "BodyTimeout, or LockRetry"),
    ("*", Type, "Reaction", "Transition"),
    ("*", Type, "Room", "ConnectionLimit"),
    ("*", Type, "Said", "by what it says: Config, ..."),
    (
        "*",
        Type,
        "Seen",
        "by what was read: RowRead, ObservedRow, ...",
    ),
    ("*", Type, "Shown", "PresentedToken"),
    ("*", Type, "Ticket", "Permit"),
    ("*", Type, "Todo", "Action"),
    ("*", Type, "Told", "by what is told: ResponseTokens, ..."),
    (
        "*",
        Type,
        "Trouble",
        "by its kind: TransientError, PermanentError",
    ),
    ("*", Type, "Turns", "a semaphore"),
    ("*", Type, "Unsaid", "UnreportedCounts"),
    ("banyan", Module, "cli::ask", "commands"),
    ("banyan", Module, "cli::screen", "render"),
    ("conductor", Module, "crash", "failpoint"),
    ("conductor", Type, "Answer", "Reply"),
    ("conductor", Type, "Order", "HandoverId"),
    ("conductor", Type, "Question", "Request, or ExplainRequest"),
    ("conductor", Type, "Refused", "RequestError"),
    ("gateway", Module, "handover", "socket_handoff"),
    ("gateway", Module, "link", "upstream's http1"),
    ("gateway", Type, "Carrier", "TokenTransport"),
    ("gateway", Type, "Link", "the upstream connection"),
    ("gateway", Type, "Order", "WorkerCommand"),
    ("gateway", Type, "Setup", "Config"),
    ("gateway", Type, "Shared", "GatewayState"),
    ("gateway", Type, "Standing", "RoutingState"),
    ("gateway", Type, "Stay", "Passthrough"),
    ("mover", Module, "assembly", "assembler of transactions"),
    ("mover", Type, "Assembly", "TransactionAssembler"),
    ("mover", Type, "Lane", "CopyWorker"),
    ("mover", Type, "Order", "HandoverId; of keys: KeyOrder"),
    ("plan", Type, "Files", "FileLoader"),
    ("protocol", Type, "Extraction", "Lifecycle"),
];

/// The retired names that a crate still has.
fn retired_in(of: &str, roots: &[ModuleTree]) -> Vec<String> {
    let mut found = Vec::new();
    for module in roots.iter().flat_map(|tree| &tree.modules) {
        let path = module.path.join("::");
        let types = module
            .types
            .iter()
            .map(|name| (Type, format!("{path}::{name}")));
        for (kind, path) in types.chain([(Module, path.clone())]) {
            let retired = RETIRED.iter().find(|(within, of_kind, name, _)| {
                let here = *within == "*" || *within == of;
                here && *of_kind == kind && ends_in(&path, name)
            });
            if let Some((_, _, name, term)) = retired {
                let file = &module.file;
                found.push(format!("`{of}`: {file} has `{name}`: name it {term}"));
            }
        }
    }
    found
}

fn ends_in(path: &str, name: &str) -> bool {
    let before = path.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

#[test]
fn one_word_is_used_for_one_thing() {
    let mut found = Vec::new();
    for of in workspace::crates() {
        found.extend(retired_in(&of.name, &of.roots));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_retired_name_is_found_with_its_term() {
    let roots = [planted(&[
        (
            "lib.rs",
            "mod cli; mod screen; struct Order; struct Founder;",
        ),
        (
            "cli.rs",
            "mod screen; enum Found {} mod inner { type Told = (); }",
        ),
        ("cli/screen.rs", ""),
        ("screen.rs", "#[cfg(test)] mod tests { struct Found; }"),
    ])];
    let expected = [
        "`banyan`: cli.rs has `Found`: name it by what was found: ObservedOwnership, ...",
        "`banyan`: cli.rs has `Told`: name it by what is told: ResponseTokens, ...",
        "`banyan`: cli/screen.rs has `cli::screen`: name it render",
    ];
    let mut found = retired_in("banyan", &roots);
    found.sort();
    assert_eq!(found, expected);
    let order = "`mover`: lib.rs has `Order`: name it HandoverId; of keys: KeyOrder";
    assert!(retired_in("mover", &roots).contains(&order.to_owned()));
}
