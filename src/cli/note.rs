//! `labtop note`: writes the note of an experiment, from the command line, from stdin, or in the user's editor.

use std::io::{self, IsTerminal, Read};

use crate::domain::experiment::{Edit, Experiment, ExperimentId};
use crate::domain::filter::Field;
use crate::ops::{OpsError, experiment};
use crate::tui::editor::{self, EditorError};

use super::error::CliError;
use super::{Outcome, Session, ls};

#[derive(Debug, clap::Args)]
pub struct Args {
    id: ExperimentId,
    /// The new note; `-` reads it from stdin. Without it stdin is read when it is no terminal, and else the note opens in
    /// $VISUAL or $EDITOR
    text: Option<String>,
}

pub async fn run(args: Args, session: &Session) -> Outcome {
    let changed = match args.text.as_deref() {
        Some("-") => write(session, args.id, from_stdin()?).await?,
        Some(text) => write(session, args.id, text.to_owned()).await?,
        None if !io::stdin().is_terminal() => {
            let text = from_stdin()?;
            if text.is_empty() {
                // Nobody meant to erase a note by running this without a terminal.
                let problem = format!("stdin is empty; to erase the note: labtop note {} ''", args.id);
                return Err(CliError::Usage(problem));
            }
            write(session, args.id, text).await?
        }
        None => match in_editor(session, args.id).await? {
            Some(changed) => changed,
            None => {
                session.output.note("the note is unchanged");
                return Ok(0);
            }
        },
    };
    session.output.result(&changed, &ls::table(&changed, &[Field::Id, Field::Name, Field::Note]))?;
    Ok(0)
}

async fn write(session: &Session, id: ExperimentId, text: String) -> Result<Vec<Experiment>, CliError> {
    Ok(experiment::edit(&session.lab, &[id], &Edit::Note(text)).await?)
}

fn from_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    io::stdin().lock().take(editor::LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > editor::LONGEST {
        return Err(CliError::Usage(format!("a note may have {} bytes at most", editor::LONGEST)));
    }
    Ok(text.trim_end().to_owned())
}

/// None when the note stays as it was. Refused, with the text kept, when somebody else changed the note meanwhile.
async fn in_editor(session: &Session, id: ExperimentId) -> Result<Option<Vec<Experiment>>, CliError> {
    let before = experiment::get(&session.lab, id).await?.note;
    let text = before.clone();
    let work = tokio::task::spawn_blocking(move || {
        editor::edit(editor::command().as_deref(), &std::env::temp_dir(), &format!("labtop-note-{id}"), &text)
    });
    let draft = work.await.map_err(io::Error::other)?.map_err(|error| {
        let remedy = match &error {
            EditorError::None => format!("; set one, or give the text: labtop note {id} TEXT"),
            _ => String::new(),
        };
        CliError::Usage(format!("{error}{remedy}"))
    })?;
    if draft.text == before.trim_end() {
        editor::discard(&draft.path);
        return Ok(None);
    }
    let revised = Edit::ReviseNote { before, after: draft.text };
    match experiment::edit(&session.lab, &[id], &revised).await {
        Ok(changed) => {
            editor::discard(&draft.path);
            Ok(Some(changed))
        }
        Err(OpsError::Store(error)) => {
            Err(CliError::Store(error.remedy(format!("Your text is kept in {}.", draft.path.display()))))
        }
        Err(error) => Err(CliError::Usage(format!("{error}; your text is kept in {}", draft.path.display()))),
    }
}
