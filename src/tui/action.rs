//! Everything a user can tell the dashboard, by name; keymap, palette, help and footer are made from this list.

use std::fmt;

use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};

/// One line per action: its name, the word of the footer, the sentence of help and palette.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $label:literal $description:literal)*) => {
        /// What the user told us. The serde names are those of `config/keymap.toml`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            pub const ALL: &'static [Action] = &[$(Action::$name),*];

            /// One word or two, for the footer.
            pub fn label(self) -> &'static str {
                match self { $(Action::$name => $label,)* }
            }

            /// A sentence without its full stop, for help and palette.
            pub fn description(self) -> &'static str {
                match self { $(Action::$name => $description,)* }
            }
        }
    };
}

actions! {
    // Everywhere
    Quit "quit" "Leave labtop"
    Help "help" "Show every key that works here"
    Palette "actions" "Find an action by name"
    GoExperiments "experiments" "Go to Experiments"
    GoSearch "search" "Go to Search"
    GoCollections "collections" "Go to Collections"
    GoAnalytics "analytics" "Go to Analytics"
    GoActivity "activity" "Go to Activity"
    NextTab "next tab" "Go to the next tab"
    PreviousTab "previous tab" "Go to the previous tab"
    NextPane "pane" "Go to the next pane"
    PreviousPane "back a pane" "Go to the previous pane"
    Up "up" "Move up"
    Down "down" "Move down"
    Left "left" "Move left"
    Right "right" "Move right"
    HalfPageUp "half up" "Move up by half a page"
    HalfPageDown "half down" "Move down by half a page"
    PageUp "page up" "Move up by a page"
    PageDown "page down" "Move down by a page"
    Top "top" "Go to the first"
    Bottom "bottom" "Go to the last"
    /// Enter: open, launch, choose.
    Open "open" "Open what is selected"
    /// Esc: close what is on top, clear a filter.
    Back "back" "Close what is open, then clear marks and filter"
    /// `/`: the filter or the query line of the tab.
    Filter "filter" "Type a filter or a query"
    Sort "sort" "Sort by the next column"
    ReverseSort "reverse" "Reverse the order"
    Mark "mark" "Mark or unmark the selected row"
    Copy "copy" "Copy the selected id to the clipboard"
    CopyLine "copy line" "Copy the selected line to the clipboard"
    Refresh "refresh" "Read again what is shown"
    /// A backend that is down is not waited for.
    TryNow "try now" "Ask the backends that are down at once"
    Suspend "suspend" "Put labtop in the background (fg brings it back)"
    ToggleMouse "mouse" "Give the mouse to the terminal, or take it back"
    NextTheme "theme" "Try the next theme"
    LoadDemo "demo" "Load the sample data of the demo"
    ToggleSimulated "simulated" "Hide or show simulated runs"
    // Experiments
    LaunchBatch "batch" "Choose a batch file and launch it"
    NewRun "new" "Start a single run"
    Cancel "cancel" "Cancel what is selected"
    Rerun "rerun" "Run the selected experiment again"
    RetryFailed "retry failed" "Retry the failed trials of its batch"
    ResumeBatch "resume" "Go on with its batch where it broke off"
    EditTags "tags" "Change tags"
    EditNote "note" "Write the note, in $VISUAL or $EDITOR where one is set"
    Archive "archive" "Archive, or take back from the archive"
    Undo "undo" "Undo the last archiving"
    ToggleArchived "archived" "Show or hide archived runs"
    Compare "compare" "Compare the marked runs"
    // Experiments: curves
    ReadValues "read" "Read curves with a cursor, or put it away"
    FarLeft "far left" "Move the cursor on the curves left by ten points"
    FarRight "far right" "Move the cursor on the curves right by ten points"
    NextMetric "metric" "Show the next metric"
    PreviousMetric "back a metric" "Show the metric before"
    LargeMetric "large" "Show one metric large, or many"
    NextSmoothing "smooth" "Smooth curves more; after the strongest, not at all"
    ToggleTime "time" "Draw curves over time or over steps"
    ToggleLog "log" "Make the y axis of curves logarithmic, or linear"
    ToggleOutliers "outliers" "Let outliers widen the y axis of curves, or clip them"
    ZoomIn "closer" "Show half as much of the curves"
    ZoomOut "wider" "Show twice as much of the curves"
    MarkRange "range" "Mark from here to where it is pressed again"
    MarkAll "mark all" "Mark all that the filter shows"
    UnmarkAll "unmark" "Take away all marks"
    Columns "columns" "Choose, move and size columns"
    ColumnsLeft "scroll left" "Scroll the columns left"
    ColumnsRight "scroll right" "Scroll the columns right"
    Pin "baseline" "Measure all runs against the selected one, or no more"
    Group "group" "Group runs by everything but the seed, or no more"
    ShowAll "all" "Show equal values too, or only what differs"
    GoRecords "its records" "Go to the documents of the selected run"
    SimilarRuns "similar" "Find runs that went like the selected one"
    // Search
    LikeThis "like this" "Search for what is like the selected"
    NextDistance "distance" "Measure by the next distance"
    ToggleWords "words" "Search by meaning and by words at once, or by meaning alone"
    NextModel "model" "Search among the documents of the next embedding model"
    Narrow "narrow" "Search only documents whose metadata fit, as in year >= 2020 and topic = science"
    Versus "versus" "Ask every engine that holds the same documents, side by side"
    ToggleExact "exact" "Compare every vector, or go along an index where there is one"
    NextCandidates "ef" "Keep more candidates while going along an index; after the most, as the settings say"
    ToggleMap "map" "Lay the documents out on a map, or put it away"
    NextColour "colour" "Colour the map by the next field of the metadata, or not at all"
    Indexes "indexes" "Show the indexes that searches go along, build and drop them"
    AddFile "add file" "Add the texts of a file"
    MoreResults "more" "Show more results"
    FewerResults "fewer" "Show fewer results"
    // Search, Collections
    Add "add" "Add a document or a record"
    // Collections
    Create "create" "Create a collection"
    Rename "rename" "Give the selected collection another name"
    Edit "edit" "Change the metadata of a collection, or a record"
    Duplicate "duplicate" "Copy the selected collection under a new name"
    Export "export" "Write the records to a .jsonl or .parquet file"
    Databases "databases" "Look into another database of collections, or make or delete one"
    ShowVector "vector" "Show the vector of the selected record, or hide it"
    GoRun "its run" "Go to the experiment that the selected document or record is about"
    // Experiments, Collections
    Delete "delete" "Delete what is selected, after asking"
    // Analytics
    Sql "sql" "Type SQL"
}

impl Action {
    /// As in `config/keymap.toml`.
    pub fn from_name(name: &str) -> Option<Action> {
        let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        Action::deserialize(name).ok()
    }
}

impl Action {
    /// Asks for something that read-only mode refuses.
    pub fn changes_something(self) -> bool {
        matches!(
            self,
            Action::LoadDemo
                | Action::LaunchBatch
                | Action::NewRun
                | Action::Cancel
                | Action::Rerun
                | Action::RetryFailed
                | Action::ResumeBatch
                | Action::EditTags
                | Action::EditNote
                | Action::Archive
                | Action::Undo
                | Action::Add
                | Action::AddFile
                | Action::Create
                | Action::Rename
                | Action::Edit
                | Action::Duplicate
                | Action::Delete
        )
    }
}

impl fmt::Display for Action {
    /// As in `config/keymap.toml`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_forth() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(&action.to_string()), Some(*action));
        }
        assert_eq!(Action::HalfPageDown.to_string(), "half_page_down");
        assert_eq!(Action::from_name("half page down"), None);
    }

    #[test]
    fn every_action_is_described_in_its_own_words() {
        let mut sentences: Vec<&str> = Action::ALL.iter().map(|action| action.description()).collect();
        assert!(sentences.iter().all(|sentence| sentence.len() > 4 && !sentence.ends_with('.')));
        assert!(Action::ALL.iter().all(|action| !action.label().is_empty()));
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), Action::ALL.len());
    }
}
