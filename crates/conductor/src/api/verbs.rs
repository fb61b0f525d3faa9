//! A verb of the API and its parameters, as a request.

use super::messages::Parameters;
use crate::request::{Request, Shift, ShownOwner, Waived};
use plan::{Percent, Role};
use protocol::{Epoch, Side};

/// Who may order a verb. Each that is not named here is an operator's.
pub(super) fn needed_role(verb: &str) -> Role {
    match verb {
        "approve" | "attest" => Role::Approver,
        _ => Role::Operator,
    }
}

/// The request that a call of this verb makes; `None`: it is for the steps of the plan
/// its checklists or its old side, and asks the extraction nothing.
pub(super) fn request(verb: &str, parameters: &Parameters) -> Result<Option<Request>, String> {
    let request = match verb {
        "pause" | "approve" | "attest" | "brown-out" | "end-brown-out" => return Ok(None),
        "start" => Ok(Request::Start),
        "verify" => Ok(Request::Verify),
        "switch" => Ok(Request::Switch),
        "rehearse" => Ok(Request::Rehearse),
        "rollback" => Ok(Request::RollBack(Waived {
            proof: parameters.unverified,
            health: parameters.unhealthy,
        })),
        "cancel" => Ok(Request::Cancel {
            empty: parameters.empty,
        }),
        "finish" => Ok(Request::Finish),
        "recopy" => shown_owner(parameters).map(Request::Recopy),
        "resume" => Ok(Request::Resume),
        "withdraw" => Ok(Request::Withdraw),
        "shift" => shift(parameters).map(Request::Shift),
        other => Err(format!("there is no verb `{other}`")),
    };
    request.map(Some)
}

/// Whose rows replace the other side's is not left to when the call arrives.
fn shown_owner(parameters: &Parameters) -> Result<ShownOwner, String> {
    let owner = parameters.owner.as_deref();
    let owner = Side::BOTH
        .into_iter()
        .find(|side| Some(side.as_str()) == owner);
    match (owner, parameters.epoch) {
        (Some(owner), Some(epoch)) => Ok(ShownOwner {
            owner,
            epoch: Epoch(epoch),
        }),
        _ => Err(
            "`recopy` needs `owner` and `epoch`, as the status has them: the other side's rows are \
             replaced, and that is refused where there was a hand-over since"
                .to_owned(),
        ),
    }
}

fn shift(parameters: &Parameters) -> Result<Shift, String> {
    let share = |text: &Option<String>| text.as_deref().map(Percent::parse).transpose();
    match (share(&parameters.reads)?, share(&parameters.writes)?) {
        (Some(reads), None) => Ok(Shift::Reads(reads)),
        (None, Some(writes)) => Ok(Shift::Writes(writes)),
        (Some(reads), Some(writes)) => Ok(Shift::Both { reads, writes }),
        (None, None) => Err("`shift` needs a share: reads, writes, or both".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recopy_says_whose_rows_stay() {
        let asked = |owner: Option<&str>, epoch| {
            let parameters = Parameters {
                owner: owner.map(str::to_owned),
                epoch,
                ..Parameters::default()
            };
            request("recopy", &parameters)
        };
        let shown = ShownOwner {
            owner: Side::Service,
            epoch: Epoch(3),
        };
        let recopy = Ok(Some(Request::Recopy(shown)));
        assert_eq!(asked(Some("service"), Some(3)), recopy);
        for (owner, epoch) in [
            (None, Some(3)),
            (Some("service"), None),
            (Some("nobody"), Some(3)),
        ] {
            assert!(asked(owner, epoch).unwrap_err().contains("as the status"));
        }
    }

    #[test]
    fn a_shift_names_at_least_one_share() {
        let shifted = |reads: Option<&str>, writes: Option<&str>| {
            shift(&Parameters {
                reads: reads.map(str::to_owned),
                writes: writes.map(str::to_owned),
                ..Parameters::default()
            })
        };
        let five = Percent::parse("5%").unwrap();
        assert_eq!(shifted(Some("5%"), None), Ok(Shift::Reads(five)));
        assert_eq!(shifted(None, Some("5%")), Ok(Shift::Writes(five)));
        let both = Shift::Both {
            reads: five,
            writes: five,
        };
        assert_eq!(shifted(Some("5%"), Some("5%")), Ok(both));
        assert!(shifted(None, None).unwrap_err().contains("needs a share"));
        assert!(shifted(Some("5%"), Some("5")).is_err());
    }
}
