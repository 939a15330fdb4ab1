//! The kinds of entries that the cold index holds.

/// A kind of entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// Runs by number.
    Runs,
    /// Numbers of runs by the hash of their ids.
    RunIds,
    /// Workflows by number.
    Workflows,
    /// Numbers of workflows by the hash of their namespaces and ids.
    WorkflowIds,
    /// Chains by number.
    Chains,
    /// Rows by table and key.
    Rows,
    /// Closed runs by namespace and time of closing.
    Closed,
}
