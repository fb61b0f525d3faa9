//! The ids of findings. A number is never given to another finding, and never
//! taken again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

macro_rules! ids {
    ($($name:ident = $number:literal,)*) => {
        /// Which finding one is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(u16)]
        #[expect(missing_docs, reason = "each is described by its explanation")]
        pub enum FindingId {
            $(
                $name = $number,
            )*
            /// One that this version does not know.
            #[default]
            Unknown = 0,
        }

        impl FindingId {
            /// All that this version knows, by their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

ids! {
    Unreachable = 1,
    Pooler = 2,
    Unreadable = 3,
    VersionTooOld = 4,
    WalLevel = 5,
    Standby = 6,
    EncodingUnknown = 7,
    PreparedTransactions = 8,
    ReplicationRefused = 9,
    SlotOfAnother = 10,
    NoFreeSlot = 11,
    NoFreeSender = 12,
    NoFreeOrigin = 13,
    EncodingsDiffer = 14,
    OneDatabase = 15,
    SharingUnproven = 16,
    SharingTwoDatabases = 17,
    SlotMayBeLost = 18,
    IdleSlotMayBeLost = 19,
    SenderTimeout = 20,
    DecodingMemory = 21,
    StandbyFeedback = 22,
    FewPlaces = 23,
    ActivityHidden = 24,
    DatabaseCollationsDiffer = 25,
    NoReplicationRight = 30,
    NoCreateRight = 31,
    NoReplicaRoleRight = 32,
    FunctionsForbidden = 33,
    RoleIsShared = 34,
    NotOwner = 35,
    SequenceRights = 36,
    StayingTableUnreadable = 37,
    HiddenRows = 38,
    NoTable = 40,
    NotOrdinaryTable = 41,
    PartitionOrInheritance = 42,
    Unlogged = 43,
    NoPrimaryKey = 44,
    DeferrablePrimaryKey = 45,
    ReplicaIdentity = 46,
    TypeOfOneDatabase = 47,
    LargeObjects = 48,
    TriggerFiresForReplicas = 49,
    TriggerDoesNotFire = 50,
    Rule = 51,
    RowSecurity = 52,
    PublishedByAnother = 53,
    Subscribed = 54,
    NotEmpty = 55,
    PublicationNotOurs = 56,
    PublicationEdited = 57,
    BegunOtherwise = 58,
    SeenWriting = 59,
    RenameOfNothing = 60,
    TwoColumnsForOne = 61,
    NoCounterpart = 62,
    TypesDiffer = 63,
    TypesDifferHarmlessly = 64,
    GeneratedOnOneSide = 65,
    ExpressionsDiffer = 66,
    NotNullAtService = 67,
    NullableAtService = 68,
    NoSequence = 69,
    SequenceAtService = 70,
    RequiredAtService = 71,
    ColumnAtService = 72,
    KeyOrderDiffers = 73,
    KeysDiffer = 74,
    IdentityAlways = 75,
    DefaultsDiffer = 76,
    CollationsDiffer = 77,
    EnumOrderDiffers = 78,
    FunctionPath = 79,
    UniqueAtService = 80,
    UniqueAtMonolith = 81,
    DeferrabilityDiffers = 82,
    CheckAtService = 83,
    CheckAtMonolith = 84,
    ExclusionAtService = 85,
    ExclusionAtMonolith = 86,
    ForeignKeyAtService = 87,
    ForeignKeyAtMonolith = 88,
    ForeignKeyActionsDiffer = 89,
    SharedSequence = 90,
    UndeclaredReference = 91,
    ActionInwards = 92,
    ActionOutwards = 93,
    DeclaredForNothing = 94,
    ServiceRefersOutwards = 95,
    ServiceReferredTo = 96,
    CompositeReference = 97,
    SequenceDirection = 100,
    SequenceBound = 101,
    SequenceNearBound = 102,
    SequencesDiffer = 103,
    AppendedKey = 110,
    AppendedKeyRange = 111,
    AppendedUnique = 112,
    SplitTable = 113,
    ReferenceToSplit = 114,
    ReferenceFromShared = 115,
    LooksLikeLog = 116,
    WrittenTogether = 117,
    IdempotencyKeys = 118,
    AppendedChanged = 119,
    GuardAvoided = 130,
    UnusableFile = 131,
    UnusableBuffers = 132,
    RouteWithoutRequests = 133,
    GroupsOfNobody = 134,
    StopCutsOff = 135,
    GateCannotWork = 136,
    QuietIsShort = 137,
    GateOutlastsStep = 138,
    ItemCannotBeChecked = 139,
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BN-{:03}", *self as u16)
    }
}

/// A text that names no finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no finding `{0}`; ids are written BN-001")]
pub struct NoSuchFinding(String);

impl FromStr for FindingId {
    type Err = NoSuchFinding;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .find(|id| id.to_string().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| NoSuchFinding(text.to_owned()))
    }
}

impl Serialize for FindingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of a newer version is [`FindingId::Unknown`]: the rest of the finding
/// says what it is.
impl<'de> Deserialize<'de> for FindingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text.parse().unwrap_or_default())
    }
}
