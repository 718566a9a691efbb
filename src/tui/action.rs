//! Everything a user can tell the dashboard, by name; keymap, palette, help and footer are made from this list.

use serde::{Deserialize, Serialize};

/// What the user told us. The serde names are those of `config/keymap.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    // Everywhere
    Quit,
    Help,
    Palette,
    GoExperiments,
    GoSearch,
    GoCollections,
    GoAnalytics,
    GoActivity,
    NextTab,
    PreviousTab,
    NextPane,
    PreviousPane,
    Up,
    Down,
    Left,
    Right,
    HalfPageUp,
    HalfPageDown,
    PageUp,
    PageDown,
    Top,
    Bottom,
    /// Enter: open, launch, choose.
    Open,
    /// Esc: close what is on top, clear a filter.
    Back,
    /// `/`: the filter or the query line of the tab.
    Filter,
    Sort,
    ReverseSort,
    Mark,
    Copy,
    Refresh,
    Suspend,
    LoadDemo,
    ToggleSimulated,
    // Experiments
    LaunchBatch,
    NewRun,
    Cancel,
    Rerun,
    RetryFailed,
    EditTags,
    EditNote,
    Archive,
    Compare,
    // Search
    LikeThis,
    NextDistance,
    MoreResults,
    FewerResults,
    // Search, Collections
    Add,
    // Collections
    Create,
    // Experiments, Collections
    Delete,
    // Analytics
    Sql,
}
