//! What the client library's answers mean for the daemon.
//!
//! Owns the one mapping from its codes to `LogError`. Pure. Called by every other part of `kafka`.

use super::ffi::{ClientError, Code};
use crate::log::LogError;

/// Codes that say that this member's place in the group is somebody else's.
pub(super) fn is_fenced(code: Code) -> bool {
    matches!(
        code,
        Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
            | Code::Fenced
            | Code::AssignmentLost
    )
}

/// Codes after which trying again may help.
pub(super) fn is_away(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::BrokerNotAvailable
            | Code::NetworkException
            | Code::Resolve
            | Code::NodeUpdate
            | Code::WaitCache
            | Code::RebalanceInProgress
            | Code::NotEnoughReplicas
            | Code::NotController
            | Code::OffsetNotAvailable
            | Code::KafkaStorageError
            | Code::UnstableOffsetCommit
            | Code::PreviousInProgress
    )
}

/// Codes of a partition whose leader is being chosen.
pub(super) fn is_leaderless(code: Code) -> bool {
    matches!(code, Code::LeaderNotAvailable | Code::NotLeaderForPartition | Code::OffsetNotAvailable)
}

fn is_missing(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition | Code::InvalidTopic
    )
}

fn is_denied(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
    )
}

/// What an error means; `subject` is the topic, partition or group that was asked about.
pub(super) fn log_error(error: &ClientError, subject: &str) -> LogError {
    let text = if error.text.is_empty() { error.code.to_string() } else { error.text.clone() };
    match error.code {
        code if is_fenced(code) => LogError::Fenced(text),
        _ if error.fatal => LogError::Fatal(text),
        code if is_missing(code) => LogError::Missing(subject.to_owned()),
        code if is_denied(code) => LogError::Denied(format!("{subject}: {text}")),
        code if is_away(code) => LogError::Away(text),
        code => LogError::Fatal(format!("{subject}: {text} ({code:?})")),
    }
}

/// What an error that a client reports on its own means while it goes on working: `None` when it is a hiccup that
/// the library mends itself.
pub(super) fn standing_error(error: &ClientError, subject: &str) -> Option<LogError> {
    let worth_telling = error.fatal || is_missing(error.code) || is_denied(error.code);
    if worth_telling || error.code == Code::AllBrokersDown {
        return Some(log_error(error, subject));
    }
    tracing::debug!("{subject}: {} ({:?})", error.text, error.code);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_lost_its_place_is_told_so_even_when_the_library_calls_it_fatal() {
        for code in
            [Code::IllegalGeneration, Code::UnknownMemberId, Code::FencedInstanceId, Code::AssignmentLost]
        {
            let error = ClientError { code, text: "gone".to_owned(), fatal: true };
            assert_eq!(log_error(&error, "g"), LogError::Fenced("gone".to_owned()));
        }
    }

    #[test]
    fn a_rebalance_under_way_does_not_count_as_a_lost_place() {
        let error = ClientError::new(Code::RebalanceInProgress, "later");
        assert_eq!(log_error(&error, "g"), LogError::Away("later".to_owned()));
    }

    #[test]
    fn a_partition_between_two_leaders_is_asked_again_and_a_missing_one_is_not() {
        assert!(is_leaderless(Code::NotLeaderForPartition) && is_leaderless(Code::LeaderNotAvailable));
        assert!(!is_leaderless(Code::UnknownTopicOrPartition) && !is_leaderless(Code::AllBrokersDown));
    }

    #[test]
    fn a_broken_connection_is_not_worth_an_error_but_a_lost_cluster_is() {
        assert_eq!(standing_error(&ClientError::new(Code::BrokerTransportFailure, "reset"), "g"), None);
        let all = standing_error(&ClientError::new(Code::AllBrokersDown, "1/1 down"), "g");
        assert_eq!(all, Some(LogError::Away("1/1 down".to_owned())));
    }
}
