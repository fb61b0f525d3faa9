//! Rules about settings that decide what a night without us costs: how long a
//! slot keeps what is needed, and how a stream that is slow is treated.

use super::facts::{SideFacts, server_name};
use protocol::{
    Side,
    finding::{Finding, FindingId as Id, Remedy, Statement},
};

/// A sender's timeout below this cuts a stream that applies a large transaction.
const SENDER_TIMEOUT_LEAST: i64 = 30_000;

/// With less memory than this most bulk changes are decoded by way of the disk.
const DECODING_KB_LEAST: i64 = 16 * 1024;

/// Fewer places than this are gone with one more standby or one restart.
const PLACES_LEAST: i64 = 2;

/// Rules about one side.
pub(super) fn of_side(side: Side, facts: &SideFacts) -> Vec<Finding> {
    let object = server_name(side);
    let retention = facts.retention;
    let mut findings = Vec::new();
    let set = |setting: &str| {
        [
            format!("alter system set {setting}"),
            "select pg_reload_conf()".to_owned(),
        ]
        .map(|sql| Statement::new(side, sql).by_superuser())
    };
    let mut warn = |id, problem: String, remedy: Remedy| {
        findings.push(Finding::warn(id, object.as_str(), problem, remedy));
    };
    if retention.slot_keeps >= 0 {
        warn(
            Id::SlotMayBeLost,
            format!(
                "max_slot_wal_keep_size is {} MB: a stream that is down for longer than it takes to \
                 write that loses its slot, and needs `banyan recopy`",
                retention.slot_keeps
            ),
            Remedy::run(
                "Watch the disk, and run",
                set("max_slot_wal_keep_size = -1")
                    .map(|one| one.caution("a stream that is down then fills the disk in the end")),
            ),
        );
    }
    if retention.idle_slot > 0 {
        warn(
            Id::IdleSlotMayBeLost,
            format!(
                "idle_replication_slot_timeout is {} s: the slot of the way back is not read before \
                 a switch, and would be dropped",
                retention.idle_slot
            ),
            Remedy::run(
                "Run",
                set("idle_replication_slot_timeout = 0")
                    .map(|one| one.caution("a slot that nobody reads then keeps its log for good")),
            ),
        );
    }
    if retention.sender_timeout > 0 && retention.sender_timeout < SENDER_TIMEOUT_LEAST {
        warn(
            Id::SenderTimeout,
            format!(
                "wal_sender_timeout is {} ms: a stream that applies a large transaction is cut and \
                 begins it again",
                retention.sender_timeout
            ),
            Remedy::run("Run", set("wal_sender_timeout = '60s'")),
        );
    }
    if retention.decoding_memory < DECODING_KB_LEAST {
        warn(
            Id::DecodingMemory,
            format!(
                "logical_decoding_work_mem is {} kB: larger transactions are decoded by way of the \
                 disk",
                retention.decoding_memory
            ),
            Remedy::run("Run", set("logical_decoding_work_mem = '64MB'")),
        );
    }
    if retention.standbys > 0 {
        warn(
            Id::StandbyFeedback,
            format!(
                "{} standbys or subscribers follow it: one that is promoted has none of our slots, \
                 and may lack what a switch has decided",
                retention.standbys
            ),
            "Keep from failing over while an extraction lives; after one run `banyan recopy`. Make a \
             standby that may be promoted synchronous during a switch"
                .into(),
        );
    }
    let (slots, senders) = (facts.server.slots.free(), facts.server.senders.free());
    // None at all is refused elsewhere.
    if (1..PLACES_LEAST).contains(&slots) || (1..PLACES_LEAST).contains(&senders) {
        warn(
            Id::FewPlaces,
            format!("{slots} replication slots and {senders} WAL senders are free"),
            "Raise max_replication_slots and max_wal_senders at the next restart".into(),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixtures;

    #[test]
    fn each_setting_that_costs_a_night_has_its_warning() {
        type Spoil = fn(&mut SideFacts);
        let cases: &[(Spoil, Id)] = &[
            (|f| f.retention.slot_keeps = 1024, Id::SlotMayBeLost),
            (|f| f.retention.idle_slot = 3600, Id::IdleSlotMayBeLost),
            (|f| f.retention.sender_timeout = 5000, Id::SenderTimeout),
            (|f| f.retention.decoding_memory = 64, Id::DecodingMemory),
            (|f| f.retention.standbys = 1, Id::StandbyFeedback),
            (
                |f| f.server.slots.used = f.server.slots.most - 1,
                Id::FewPlaces,
            ),
        ];
        assert_eq!(of_side(Side::Monolith, &fixtures::side()), []);
        for (spoil, id) in cases {
            let mut facts = fixtures::side();
            spoil(&mut facts);
            let found = of_side(Side::Monolith, &facts);
            assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [*id]);
        }
    }
}
