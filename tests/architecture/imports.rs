//! Who imports whom: every path that a file mentions, followed through `pub use` to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Crate, Mention, ModulePath, Name};

/// How many imports may lead from one to the next.
const MAX_IMPORTS: usize = 16;

/// What a path comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Something that a file of this crate defines; without a name, the module itself.
    Own { file: String, name: Option<String> },
    /// Something of the crate, or of the standard library, that is called so.
    Other(String),
}

/// Who imports whom.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Importing file, imported file, names.
    pub(crate) edges: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Importing file, other crates.
    pub(crate) crates: BTreeMap<String, BTreeSet<String>>,
    /// Paths that lead nowhere: the checker has to learn what they are.
    pub(crate) unresolved: Vec<String>,
}

pub(crate) fn collect(parsed: &Crate) -> Imports {
    let mut imports = Imports::default();
    for mention in &parsed.mentions {
        let from = &parsed.modules[&mention.module].file;
        match resolve(parsed, mention, MAX_IMPORTS) {
            Some(Target::Own { file, .. }) if file == *from => {}
            Some(Target::Own { file, name }) => {
                let names = imports.edges.entry(from.clone()).or_default().entry(file).or_default();
                names.insert(name.unwrap_or_else(|| "self".into()));
            }
            Some(Target::Other(name)) => {
                imports.crates.entry(from.clone()).or_default().insert(name);
            }
            None => imports
                .unresolved
                .push(format!("{from}: `{}`", mention.segments.join("::"))),
        }
    }
    imports
}

fn resolve(parsed: &Crate, mention: &Mention, left: usize) -> Option<Target> {
    let left = left.checked_sub(1)?;
    let (first, rest) = mention.segments.split_first()?;
    if mention.is_external {
        return Some(Target::Other(first.clone()));
    }
    let mut module = mention.module.clone();
    match first.as_str() {
        "crate" => walk(parsed, &[], rest, left),
        "self" => walk(parsed, &module, rest, left),
        "super" => {
            module.pop();
            let mut rest = rest;
            while let [first, behind @ ..] = rest
                && first == "super"
            {
                module.pop();
                rest = behind;
            }
            walk(parsed, &module, rest, left)
        }
        _ => {
            // A name of this module, or else the name of a crate, or of a type parameter.
            let own = walk(parsed, &module, &mention.segments, left);
            let here = &parsed.modules[&module];
            let is_guessed = matches!(&own, Some(Target::Own { file, name: Some(name) })
                if *file == here.file && name == first && !here.names.contains_key(first));
            own.filter(|_| !is_guessed)
                .or_else(|| Some(Target::Other(first.clone())))
        }
    }
}

/// Follows a path from a module on.
fn walk(parsed: &Crate, path: &[String], segments: &[String], left: usize) -> Option<Target> {
    let module = parsed.modules.get(path)?;
    let Some((first, rest)) = segments.split_first() else {
        return Some(Target::Own {
            file: module.file.clone(),
            name: None,
        });
    };
    let child: ModulePath = path.iter().chain([first]).cloned().collect();
    if parsed.modules.contains_key(&child) {
        return walk(parsed, &child, rest, left);
    }
    let item = || Target::Own {
        file: module.file.clone(),
        name: Some(first.clone()),
    };
    let meaning = |name: &Name| match name {
        Name::Item => Some(item()),
        // `use name::...` of another crate whose name is the one that is bound.
        Name::Import(import) if import.segments.first() == Some(first) => Some(Target::Other(first.clone())),
        Name::Import(import) => resolve(parsed, &with_rest(import, rest), left),
    };
    if let Some(names) = module.names.get(first) {
        let targets: Vec<_> = names.iter().filter_map(meaning).collect();
        let own = targets.iter().find(|target| matches!(target, Target::Own { .. }));
        return own.or(targets.first()).cloned();
    }
    // A glob of another crate, or of an enum, would claim every name.
    let is_module = |glob: &&Mention| matches!(resolve(parsed, glob, left), Some(Target::Own { name: None, .. }));
    let globs = module
        .globs
        .iter()
        .filter(is_module)
        .map(|glob| with_rest(glob, segments));
    let mut found = globs.filter_map(|path| resolve(parsed, &path, left));
    found.next().or_else(|| module.has_macro_items.then(item))
}

fn with_rest(mention: &Mention, rest: &[String]) -> Mention {
    let mut mention = mention.clone();
    mention.segments.extend_from_slice(rest);
    mention
}
