// A program against the generated client: it is compiled, not run.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8080" });

export async function pausedPairs(token: string): Promise<components["schemas"]["PairView"][]> {
  const { data, error } = await client.GET("/api/v1/pairs", {
    headers: { Authorization: `Bearer ${token}` },
    params: { query: { limit: 50 } },
  });
  if (error) {
    throw new Error(`${error.code}: ${error.detail}`);
  }
  return data.items.filter((pair) => pair.paused.length > 0);
}

export async function restart(token: string, path: string): Promise<string> {
  const { data, error } = await client.POST("/api/v1/admin/actors/restart", {
    headers: { Authorization: `Bearer ${token}` },
    body: { path },
  });
  if (error) {
    throw new Error(error.code === "not_found" ? `no actor ${path}` : error.detail);
  }
  return data.path;
}

// What the document does not know does not compile.
export async function refused(): Promise<void> {
  // @ts-expect-error there is no such path
  await client.GET("/api/v1/nowhere");
  // @ts-expect-error a path is a text
  await client.POST("/api/v1/admin/actors/restart", { body: { path: 7 } });
}
