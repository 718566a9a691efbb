//! The note of a run: in the user's editor where there is one, and in a form otherwise.

use crate::domain::experiment::{Edit, Experiment, ExperimentId};
use crate::tui::context::{Context, EditNote, Tone};
use crate::tui::editor::Draft;
use crate::tui::popups::message::Message as MessagePopup;
use crate::worker::protocol::{Failure, Ticket, Write};

use super::{Experiments, forms};

/// A note on its way to the store.
#[derive(Debug)]
pub(super) struct Saving {
    ticket: Ticket,
    id: ExperimentId,
    draft: Draft,
}

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
                    self.drafts.push(Saving { ticket, id: note.id, draft: draft.clone() });
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
        let Some(index) = self.drafts.iter().position(|saving| saving.ticket == ticket) else {
            return;
        };
        let Saving { id, draft: Draft { text, path }, .. } = self.drafts.swap_remove(index);
        if saved {
            // Known before it is read again: who opens the note at once sees what was saved.
            let known = self.detail.loaded().filter(|run| run.id == id).or_else(|| self.list.find(id));
            if let Some(run) = known.cloned() {
                self.hear_run(&Experiment { note: text, ..run }, cx);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::app::Message;
    use crate::tui::context::Effect;
    use crate::tui::testing::Stage;
    use crate::tui::testing::data::{Data, failure};
    use crate::worker::protocol::{Command, Event};

    fn stage(width: u16, height: u16) -> Stage {
        Stage::new(width, height, Data::with_runs(1204))
    }

    fn edit_note(stage: &mut Stage, text: &str) {
        let effect = stage.effects.iter().rev().find_map(|effect| match effect {
            Effect::EditNote(note) => Some(note.clone()),
            _ => None,
        });
        let draft = Draft { text: text.to_owned(), path: "/tmp/labtop-note-1.md".into() };
        stage.tell(Message::Edited(effect.unwrap(), Ok(draft)));
    }

    #[test]
    fn a_note_is_revised_in_the_editor_and_its_draft_goes_when_it_is_saved() {
        let mut stage = stage(80, 24);
        stage.press("N");
        assert_eq!(
            stage.effects.last(),
            Some(&Effect::EditNote(Box::new(EditNote { id: 1204, before: String::new() })))
        );
        edit_note(&mut stage, "seed 7 diverges\nafter step 30");
        let after = "seed 7 diverges\nafter step 30".to_owned();
        let revised = Write::Edit(vec![1204], Edit::ReviseNote { before: String::new(), after });
        assert!(stage.commands().contains(&&Command::Write(revised)));
        assert_eq!(stage.effects.last(), Some(&Effect::Discard("/tmp/labtop-note-1.md".into())));
        let sent = stage.sent.len();
        stage.press("N");
        edit_note(&mut stage, "");
        assert!(stage.screen().contains("the note is unchanged"), "{}", stage.screen());
        assert_eq!(stage.sent.len(), sent, "nothing is written for nothing");
    }

    #[test]
    fn a_note_that_cannot_be_saved_is_kept_and_its_file_is_named() {
        let mut stage = stage(80, 24);
        stage.press("N");
        stage.silent = true;
        edit_note(&mut stage, "mine");
        let ticket = stage.sent.last().unwrap().ticket;
        let refused =
            failure("the note of experiment 1204 was changed meanwhile, and nothing was overwritten");
        stage.hear(Event::Done { ticket, result: Err(refused) });
        assert!(stage.screen().contains("/tmp/labtop-note-1.md"), "{}", stage.screen());
        assert!(!stage.effects.iter().any(|effect| matches!(effect, Effect::Discard(_))));
        stage.press("<esc>");
        assert!(stage.screen().contains("changed meanwhile"), "{}", stage.screen());
    }

    #[test]
    fn without_an_editor_the_form_stays_unless_it_would_spoil_the_note() {
        let mut stage = stage(80, 24);
        let note = |before: &str| Box::new(EditNote { id: 1204, before: before.to_owned() });
        let missing = || failure("neither VISUAL nor EDITOR names an editor");
        stage.tell(Message::Edited(note("short"), Err(missing())));
        assert!(stage.screen().contains("Note on #1204"), "{}", stage.screen());
        assert!(stage.screen().contains("short"));
        stage.press("<esc>");
        stage.tell(Message::Edited(note("two\nlines"), Err(missing())));
        assert!(stage.screen().contains("neither VISUAL nor EDITOR"), "{}", stage.screen());
        assert!(!stage.screen().contains("Note on #1204"));
    }
}
