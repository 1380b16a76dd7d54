/** A request to etcd's JSON gateway. */
async function call(port: number, method: string, body: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/v3/${method}`, { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`etcd ${method}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/**
 * Compacts etcd: it forgets all revisions but the current state. A list or watch from an older resourceVersion fails
 * with 410 from then on, unless the API server still has it in its cache, which restarting the API server empties.
 * @returns the revision up to which it forgot
 */
export async function compact(port: number): Promise<string> {
  const { header } = (await call(port, "kv/range", { key: "AA==" })) as { header: { revision: string } };
  await call(port, "kv/compaction", { revision: header.revision, physical: true });
  return header.revision;
}
