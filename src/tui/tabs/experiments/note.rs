//! The note of a run: in the user's editor where there is one, and in a form otherwise.

use crate::domain::experiment::{Edit, ExperimentId};
use crate::tui::context::{Context, EditNote, Tone};
use crate::tui::editor::Draft;
use crate::tui::popups::message::Message as MessagePopup;
use crate::worker::protocol::{Failure, Ticket, Write};

use super::{Experiments, forms};

impl Experiments {
    /// One run's note opens in the editor; several runs get one note from a form.
    pub(super) fn edit_note(&mut self, targets: &[ExperimentId], cx: &mut Context<'_>) {
        match targets {
            [id] if !cx.read_only => {
                let before = self.note_of(*id).to_owned();
                cx.edit_note(EditNote { id: *id, before });
            }
            _ => cx.open(Box::new(forms::note(targets, ""))),
        }
    }

    fn note_of(&self, id: ExperimentId) -> &str {
        let shown = self.detail.loaded().filter(|run| run.id == id);
        shown.or_else(|| self.list.find(id)).map_or("", |run| run.note.as_str())
    }

    /// The editor is closed.
    pub(super) fn note_edited(
        &mut self,
        note: &EditNote,
        result: &Result<Draft, Failure>,
        cx: &mut Context<'_>,
    ) {
        match result {
            Ok(draft) if draft.text == note.before.trim_end() => {
                cx.toast(Tone::Plain, "the note is unchanged");
                cx.discard(draft.path.clone());
            }
            Ok(draft) => {
                let revised = Edit::ReviseNote { before: note.before.clone(), after: draft.text.clone() };
                if let Some(ticket) = cx.write(Write::Edit(vec![note.id], revised)) {
                    self.drafts.push((ticket, draft.path.clone()));
                }
            }
            Err(failure) if note.before.contains('\n') => {
                // A form has one line: it would run the lines of this note together.
                cx.open(Box::new(MessagePopup::of("The note was not opened", failure)));
            }
            Err(failure) => {
                cx.toast(Tone::Plain, failure.message.clone());
                cx.open(Box::new(forms::note(&[note.id], &note.before)));
            }
        }
    }

    /// A draft goes when it is saved; one that was refused stays, and the user is told where.
    pub(super) fn note_saved(&mut self, ticket: Ticket, saved: bool, cx: &mut Context<'_>) {
        let Some(index) = self.drafts.iter().position(|(known, _)| *known == ticket) else {
            return;
        };
        let (_, path) = self.drafts.swap_remove(index);
        if saved {
            return cx.discard(path);
        }
        let failure = Failure {
            message: format!("The note was not saved. Your text is kept in {}", path.display()),
            remedy: Some("N opens the note as it is now; put your text in and save it again.".to_owned()),
            unavailable: false,
        };
        cx.open(Box::new(MessagePopup::of("Your text is kept", &failure)));
    }
}
