"""Where and with what the runs were made, and what an import left out."""

from lrreport.report.load import LoadedReport
from lrreport.report.table import Table
from lrreport.study.formats import capitalize, count_nouns, format_count, list_words

FACTS = ("commit", "python", "cpu", "cpu_count", "platform", "device", "threads")


def tabulate_provenance(loaded: LoadedReport) -> Table:
    """Return where and with what the runs were made, as far as their records say."""
    records = [run.record for run in loaded.kept.values()]
    facts = [record.facts for record in records]
    rows = []
    for name in FACTS:
        values = sorted({str(fact[name]) for fact in facts if fact.get(name) is not None})
        if values:
            dirty = name == "commit" and any(fact.get("dirty") for fact in facts)
            rows.append(
                (
                    capitalize(name.replace("_", " ")),
                    list_words(values) + (", with changes not committed" if dirty else ""),
                )
            )
    hosts: dict[str, int] = {}
    for fact in facts:
        if fact.get("host"):
            hosts[str(fact["host"])] = hosts.get(str(fact["host"]), 0) + 1
    if len(hosts) > 1:
        rows += [(f"Host {host}", count_nouns(count, "run")) for host, count in hosts.items()]
    packages = sorted({name for fact in facts for name in fact.get("packages", {})})
    for name in packages:
        versions = sorted({str(fact["packages"][name]) for fact in facts if name in fact.get("packages", {})})
        rows.append((name, list_words(versions)))
    data = {name: digest for record in records for name, digest in record.identity.data.items()}
    for name, digest in data.items():
        rows.append((f"SHA-256 of {name}", f"{digest[:16]}…"))
    mixed = sorted({str(fact["mixed"]) for fact in facts if "mixed" in fact})
    rows += [("Other versions", text) for text in mixed]
    return Table("provenance", ("Fact", "Value"), tuple(rows), "", n_labels=2)


def tabulate_notes(loaded: LoadedReport) -> Table:
    """Return what an import left out, merged, missed or guessed, and why runs are missing."""
    notes = [(capitalize(note.kind), note.text, format_count(note.count)) for note in loaded.contents.notes]
    notes += [("Missing", f"{name}: {reason}", "1") for name, reason in loaded.contents.failures.items()]
    return Table("notes", ("Kind", "What and why", "Times"), tuple(notes), "", n_labels=2)


def write_colophon(loaded: LoadedReport, command: str) -> str:
    """Return how the runs were made in a line or two: commit, versions, data, and the command that makes them again."""
    records = [run.record for run in loaded.kept.values()]
    facts = [record.facts for record in records]
    commits = {
        f"{str(fact['commit'])[:7]}{' with changes' if fact.get('dirty') else ''}"
        for fact in facts
        if fact.get("commit")
    }
    pythons = {f"Python {fact['python']}" for fact in facts if fact.get("python")}
    torch = {f"torch {fact['packages']['torch']}" for fact in facts if "torch" in fact.get("packages", {})}
    parts = [f"at commit {list_words(sorted(commits))}"] if commits else []
    parts += [f"with {list_words([*sorted(pythons), *sorted(torch)])}"] if pythons or torch else []
    data = {name: digest for record in records for name, digest in record.identity.data.items()}
    if data:
        first, digest = next(iter(data.items()))
        parts.append(f"from data whose {first} has the SHA-256 {digest[:12]}…")
    made = f"{count_nouns(len(records), 'run')}{' ' if parts else ''}{', '.join(parts)}."
    return f"{made} Reproduce with: {command}" if command else made
