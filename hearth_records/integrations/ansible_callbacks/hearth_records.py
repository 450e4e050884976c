"""What Ansible finds in the directory of `ANSIBLE_CALLBACK_PLUGINS`: the options, and the callback itself."""  # noqa: INP001 - no package: Ansible loads every file here

from __future__ import annotations

from hearth_records.integrations.ansible import CallbackModule

__all__ = ["CallbackModule"]

DOCUMENTATION = """
name: hearth_records
type: aggregate
short_description: records a run as a hash-linked, sealed execution record
description:
  - Writes a journal while the playbook runs, one step a task, and seals it when the run has ended.
  - A run is never broken by its recorder. When recording fails, a warning says so once, and the journal is left for
    C(hearth-records recover).
  - Arguments and results of tasks are not recorded. Of a failure, its message, return code and standard error are,
    unless the task has C(no_log).
author: hearth-records
requirements:
  - hearth-records, in the same Python environment as ansible-core
  - enable in configuration
options:
  directory:
    description: An existing directory, in which the journal is written and the record published.
    type: path
    required: true
    env: [{name: HEARTH_RECORDS_DIRECTORY}]
    ini: [{section: callback_hearth_records, key: directory}]
  execution_id:
    description:
      - Identifier of this run, and the name of its file. An execution is recorded once.
      - With several playbooks in one command, the second one is C(<execution_id>-2).
      - Without it, the plan's identifier, the time and a random part.
    type: str
    env: [{name: HEARTH_RECORDS_EXECUTION_ID}]
    ini: [{section: callback_hearth_records, key: execution_id}]
  plan_id:
    description: Identifier of the plan. Without it, the playbook's file name.
    type: str
    env: [{name: HEARTH_RECORDS_PLAN_ID}]
    ini: [{section: callback_hearth_records, key: plan_id}]
  key:
    description:
      - The private key that seals the record; a file (PKCS#8 PEM) or a URI as C(--key) takes it.
      - Without it the journal stays open, to be sealed by C(hearth-records record seal).
    type: path
    env: [{name: HEARTH_RECORDS_KEY}]
    ini: [{section: callback_hearth_records, key: key}]
  passphrase_file:
    description: A file whose first line is the key's passphrase.
    type: path
    env: [{name: HEARTH_RECORDS_PASSPHRASE_FILE}]
    ini: [{section: callback_hearth_records, key: passphrase_file}]
  mask:
    description:
      - A regular expression. What it matches in a recorded text (a message, a path, a name) becomes C([masked]).
    type: str
    env: [{name: HEARTH_RECORDS_MASK}]
    ini: [{section: callback_hearth_records, key: mask}]
  reason:
    description: Why the playbook is run.
    type: str
    default: ''
    env: [{name: HEARTH_RECORDS_REASON}]
    ini: [{section: callback_hearth_records, key: reason}]
  change_ref:
    description: The change or ticket that the run belongs to.
    type: str
    env: [{name: HEARTH_RECORDS_CHANGE_REF}]
    ini: [{section: callback_hearth_records, key: change_ref}]
"""
